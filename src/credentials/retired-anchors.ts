import { parseCertificate } from "../x509/certificate.ts";
import type { RevocationList } from "../x509/crl.ts";
import { isNamedKey } from "../x509/issuer.ts";
import { type ParsedCertificate, parsed } from "../x509/parsed-certificate.ts";
import type { TrustBundle } from "./credential.ts";

/** CAs that were taken out of the last bundle that had them: nothing that they say matters any more. */
export class RetiredAnchors {
  readonly #held = new Map<string, TrustBundle>();
  /** By SHA-256, those that went first, first. */
  readonly #retired = new Map<string, ParsedCertificate>();

  /** What a name stands for now. */
  note(name: string, bundle: TrustBundle | undefined): void {
    const before = this.#held.get(name);
    if (bundle === undefined) this.#held.delete(name);
    else this.#held.set(name, bundle);
    for (const { sha256 } of bundle?.facts ?? []) this.#retired.delete(sha256);
    for (const [index, { sha256 }] of before?.facts.entries() ?? []) {
      if (this.#isHeld(sha256)) continue;
      const read = readAnchor(before?.anchors[index]);
      if (read !== null) this.#retired.set(sha256, read);
    }
    for (const [oldest] of this.#retired) {
      if (this.#retired.size <= MOST_RETIRED) break;
      this.#retired.delete(oldest);
    }
  }

  /** Whether the list is one of theirs, and of no CA that is trusted still: a root that was renewed has the name and key of the old one. */
  issued(list: RevocationList): boolean {
    const isOf = (ca: ParsedCertificate): boolean =>
      ca.subject.key === list.issuer.key && isNamedKey(list.authorityKey, ca);
    return [...this.#retired.values()].some(isOf) && !this.#anchors().some(isOf);
  }

  #isHeld(sha256: string): boolean {
    for (const { facts } of this.#held.values())
      if (facts.some((each) => each.sha256 === sha256)) return true;
    return false;
  }

  #anchors(): ParsedCertificate[] {
    const unique = new Set([...this.#held.values()].flatMap(({ anchors }) => anchors));
    return [...unique].flatMap((pem) => readAnchor(pem) ?? []);
  }
}

const MOST_RETIRED = 1000;

function readAnchor(pem: string | undefined): ParsedCertificate | null {
  const certificate = pem === undefined ? null : parseCertificate(pem);
  const read = certificate === null ? "" : parsed(certificate);
  return typeof read === "string" ? null : read;
}
