import { parseCertificate } from "../x509/certificate.ts";
import type { RevocationList } from "../x509/crl.ts";
import { isNamedKey } from "../x509/issuer.ts";
import { type ParsedCertificate, parsed } from "../x509/parsed-certificate.ts";
import type { TrustBundle } from "./credential.ts";

/** CAs that were taken out of the last bundle that had them: nothing that they say matters any more. */
export class RetiredAnchors {
  readonly #bundles = new Map<string, TrustBundle>();
  /** Of all bundles, by SHA-256. */
  readonly #held = new Map<string, Anchor>();
  /** By SHA-256, those that went first, first. */
  readonly #retired = new Map<string, Anchor>();

  /** What a name stands for now. */
  note(name: string, bundle: TrustBundle | undefined): void {
    const before = this.#bundles.get(name);
    if (bundle === undefined) this.#bundles.delete(name);
    else this.#bundles.set(name, bundle);
    for (const [index, { sha256 }] of bundle?.facts.entries() ?? []) {
      this.#retired.delete(sha256);
      const anchor = this.#held.get(sha256) ?? new Anchor(bundle?.anchors[index] ?? "");
      this.#held.set(sha256, anchor);
      anchor.bundles += 1;
    }
    for (const { sha256 } of before?.facts ?? []) {
      const anchor = this.#held.get(sha256);
      if (anchor === undefined || --anchor.bundles > 0) continue;
      this.#held.delete(sha256);
      this.#retired.set(sha256, anchor);
    }
    for (const [oldest] of this.#retired) {
      if (this.#retired.size <= MOST_RETIRED) break;
      this.#retired.delete(oldest);
    }
  }

  /** Whether the list is one of theirs, and of no CA that is trusted still: a root that was renewed has the name and key of the old one. */
  issued(list: RevocationList): boolean {
    const isOf = ({ certificate }: Anchor): boolean =>
      certificate !== null &&
      certificate.subject.key === list.issuer.key &&
      isNamedKey(list.authorityKey, certificate);
    return [...this.#retired.values()].some(isOf) && ![...this.#held.values()].some(isOf);
  }
}

/** A CA's certificate, which is read when a list may be its. */
class Anchor {
  /** How many have it. */
  bundles = 0;
  readonly #pem: string;
  #certificate: ParsedCertificate | null | undefined;

  constructor(pem: string) {
    this.#pem = pem;
  }

  /** Null: it cannot be taken apart. */
  get certificate(): ParsedCertificate | null {
    if (this.#certificate === undefined) {
      const certificate = parseCertificate(this.#pem);
      const read = certificate === null ? "" : parsed(certificate);
      this.#certificate = typeof read === "string" ? null : read;
    }
    return this.#certificate;
  }
}

const MOST_RETIRED = 1000;
