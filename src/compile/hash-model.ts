import { hash } from "node:crypto";
import type { Cluster } from "../model/cluster.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { Route } from "../model/route.ts";

/**
 * SHA-256 (hex) of the model. Its keys are written in one order and its lists are sorted, so equal models are equal text. Routes
 * and clusters, the long lists, go in by digests of sections: a change among ten thousand is one section written anew.
 */
export function hashModel({ routes, clusters, ...rest }: GatewayModel): string {
  const parts = [JSON.stringify(rest), ...sectionsOf(routes), "/", ...sectionsOf(clusters)];
  return hash("sha256", parts.join("\n"), "hex");
}

type Part = Route | Cluster;

interface Section {
  readonly parts: readonly Part[];
  readonly digest: string;
}

/**
 * Digests of the list's sections, in order. Where one ends its last part alone decides, so that what comes or goes
 * moves no other section's bounds.
 */
function sectionsOf(parts: readonly Part[]): string[] {
  const digests: string[] = [];
  for (let at = 0; at < parts.length; ) {
    const first = parts[at] as Part;
    let section = SECTIONS.get(first);
    if (section === undefined || !standsAt(section, parts, at)) {
      section = sectionAt(parts, at);
      SECTIONS.set(first, section);
    }
    digests.push(section.digest);
    at += section.parts.length;
  }
  return digests;
}

function sectionAt(parts: readonly Part[], from: number): Section {
  const own: Part[] = [];
  const texts: string[] = [];
  for (let at = from; at < parts.length; at++) {
    const part = parts[at] as Part;
    const digest = digestOf(part);
    own.push(part);
    texts.push(digest);
    if (isEnd(digest)) break;
  }
  return { parts: own, digest: hash("sha256", texts.join(), "base64") };
}

/** A section that ends with the list is another one once more follows. */
function standsAt({ parts: own }: Section, parts: readonly Part[], from: number): boolean {
  if (!own.every((part, at) => part === parts[from + at])) return false;
  return from + own.length === parts.length || isEnd(digestOf(own.at(-1) as Part));
}

/** One digest in 64. */
function isEnd(digest: string): boolean {
  return digest.startsWith("A");
}

function digestOf(part: Part): string {
  const known = DIGESTS.get(part);
  if (known !== undefined) return known;
  const digest = hash("sha256", JSON.stringify(part), "base64");
  DIGESTS.set(part, digest);
  return digest;
}

/** By their first part. */
const SECTIONS = new WeakMap<Part, Section>();
const DIGESTS = new WeakMap<Part, string>();
