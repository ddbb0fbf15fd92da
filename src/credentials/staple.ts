import type { X509Certificate } from "node:crypto";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { isAnswerAbout, type OcspResponse, readOcspResponse } from "../x509/ocsp.ts";
import { faultOfStaple } from "../x509/ocsp-signer.ts";
import { type ParsedCertificate, parsed } from "../x509/parsed-certificate.ts";
import { type Admitted, reject } from "./admission.ts";
import type { Credential, GivenStaple, OcspStaple, TrustBundle } from "./credential.ts";
import type { Face } from "./face.ts";
import type { Faces } from "./faces.ts";
import { readCertificates } from "./read-certificates.ts";

export interface AdmittedStaple extends OcspStaple, OcspResponse {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Checks what a file holds, given as base64: it must say that each certificate in it is good. Dates are the store's to judge. */
export function admitStaple(base64: string): Admitted<AdmittedStaple> {
  const response = Buffer.from(base64, "base64");
  const read = readOcspResponse(response);
  if (typeof read === "string") return reject("ocsp-staple-invalid", `the OCSP response ${read}`);
  const { answers } = read;
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
      ...read,
      response,
      nextUpdate,
      notBefore: Math.max(...answers.map(({ thisUpdate }) => thisUpdate)),
      notAfter: nextUpdate ?? Number.POSITIVE_INFINITY,
    },
  };
}

/** The staple, in its dates, that a client believes about the certificate of a chain. */
export function stapleFor(certificateChain: string, faces: Faces, now: number): OcspStaple | undefined {
  if (faces.staples.size === 0) return undefined;
  const leaf = parseCertificate(certificateChain);
  if (leaf === null) return undefined;
  for (const other of faces.staples) {
    const given = other.current(now)?.value as GivenStaple | undefined;
    if (given === undefined || !isAbout(given, leaf)) continue;
    // Worse than none is one that a client does not believe.
    if (typeof faultOf(given, certificateChain, faces, now) !== "string") return given;
  }
  return undefined;
}

/** The same of a face's certificate. One that is attached already comes back as it is. */
export function stapleOf(face: Face, faces: Faces, now: number): OcspStaple | undefined {
  const { certificateChain, ocspStaple } = (face.published?.value ?? {}) as Partial<Credential>;
  const given = certificateChain === undefined ? undefined : stapleFor(certificateChain, faces, now);
  if (given === undefined) return undefined;
  const { response, nextUpdate } = given;
  return ocspStaple?.response === response ? ocspStaple : { response, nextUpdate };
}

/** Says of staples that are about no certificate here, or that no client would believe. */
export function strayStaples(faces: Faces, now: number): Diagnostic[] {
  if (faces.staples.size === 0) return [];
  const credentials = [...faces].filter(({ kind }) => kind === "credential");
  const used = new Set(
    credentials.map(({ published }) => (published?.value as Credential | undefined)?.ocspStaple?.response),
  );
  return [...faces.staples].flatMap((face) => {
    const given = face.current(now)?.value as GivenStaple | undefined;
    if (given === undefined || used.has(given.response)) return [];
    const faults = credentials.flatMap(({ published }) => {
      const { certificateChain } = (published?.value ?? {}) as Partial<Credential>;
      const leaf = certificateChain === undefined ? null : parseCertificate(certificateChain);
      if (certificateChain === undefined || leaf === null || !isAbout(given, leaf)) return [];
      return faultOf(given, certificateChain, faces, now) ?? [];
    });
    const serial = given.answers[0]?.serial;
    const says = faults[0] ?? `is about no certificate that is in use (serial ${serial})`;
    return [diagnose("ocsp-staple-invalid", { ...face.origin, message: `the OCSP response ${says}` })];
  });
}

function isAbout({ answers }: GivenStaple, leaf: X509Certificate): boolean {
  return answers.some((answer) => isAnswerAbout(answer, leaf));
}

/** Undefined: nobody here can tell, as its issuer is neither in its chain nor among the CAs that are known. */
function faultOf(
  given: GivenStaple,
  certificateChain: string,
  faces: Faces,
  now: number,
): string | null | undefined {
  const [leaf, ...chain] = certificatesIn(certificateChain);
  if (leaf === undefined) return undefined;
  const inChain = faultOfStaple(given, leaf, chain, now);
  if (inChain !== undefined) return inChain;
  const anchors = [...faces]
    .filter(({ kind }) => kind === "trust")
    .flatMap(({ published }) => (published?.value as TrustBundle | undefined)?.anchors ?? []);
  return faultOfStaple(given, leaf, certificatesIn(anchors.join("\n")), now);
}

function certificatesIn(pem: string): ParsedCertificate[] {
  const read = readCertificates(pem, "a chain");
  return !read.ok ? [] : read.value.map(parsed).filter((each) => typeof each !== "string");
}
