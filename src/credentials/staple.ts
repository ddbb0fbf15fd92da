import type { X509Certificate } from "node:crypto";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { isAnswerAbout, type OcspAnswer, readOcspResponse } from "../x509/ocsp.ts";
import { type Admitted, reject } from "./admission.ts";
import type { Credential, GivenStaple, OcspStaple } from "./credential.ts";
import type { Face } from "./face.ts";

export interface AdmittedStaple extends OcspStaple {
  readonly answers: readonly OcspAnswer[];
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Checks what a file holds, given as base64: it must say that each certificate in it is good. Dates are the store's to judge. */
export function admitStaple(base64: string): Admitted<AdmittedStaple> {
  const response = Buffer.from(base64, "base64");
  const answers = readOcspResponse(response);
  if (typeof answers === "string") return reject("ocsp-staple-invalid", `the OCSP response ${answers}`);
  // What is sent with a certificate is about that one (RFC 6066 §8); Envoy takes no other.
  if (answers.length > 1)
    return reject(
      "ocsp-staple-invalid",
      `the OCSP response is about ${answers.length} certificates, not one`,
    );
  const bad = answers.find(({ status }) => status !== "good");
  if (bad !== undefined) {
    const says = bad.status === "revoked" ? "is revoked" : "is unknown to its CA";
    return reject(
      "ocsp-staple-invalid",
      `the OCSP response says that the certificate with serial ${bad.serial} ${says}`,
    );
  }
  const ends = answers.flatMap(({ nextUpdate }) => nextUpdate ?? []);
  const nextUpdate = ends.length === 0 ? null : Math.min(...ends);
  return {
    ok: true,
    warnings: [],
    value: {
      response,
      nextUpdate,
      answers,
      notBefore: Math.max(...answers.map(({ thisUpdate }) => thisUpdate)),
      notAfter: nextUpdate ?? Number.POSITIVE_INFINITY,
    },
  };
}

/** The staple, in its dates, that is about a face's certificate. One that is attached already comes back as it is. */
export function stapleOf(face: Face, staples: Iterable<Face>, now: number): OcspStaple | undefined {
  const { certificateChain, ocspStaple } = (face.published?.value ?? {}) as Partial<Credential>;
  let leaf: ReturnType<typeof parseCertificate> = null;
  for (const other of staples) {
    const given = other.current(now)?.value as GivenStaple | undefined;
    if (given === undefined) continue;
    leaf ??= certificateChain === undefined ? null : parseCertificate(certificateChain);
    if (leaf === null || !given.answers.some((answer) => isAnswerAbout(answer, leaf as X509Certificate)))
      continue;
    const { response, nextUpdate } = given;
    return ocspStaple?.response === response ? ocspStaple : { response, nextUpdate };
  }
  return undefined;
}

/** Says of staples that are about no certificate here. */
export function strayStaples(staples: ReadonlySet<Face>, among: Iterable<Face>, now: number): Diagnostic[] {
  if (staples.size === 0) return [];
  const faces = [...among];
  const used = new Set(
    faces.map(({ published }) => (published?.value as Credential | undefined)?.ocspStaple?.response),
  );
  return [...staples].flatMap((face) => {
    const given = face.current(now)?.value as GivenStaple | undefined;
    if (given === undefined || used.has(given.response)) return [];
    const message = `the OCSP response is about no certificate that is in use (serial ${given.answers[0]?.serial})`;
    return [diagnose("ocsp-staple-invalid", { ...face.origin, message })];
  });
}
