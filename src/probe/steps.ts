import type { Credential } from "../credentials/credential.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import { isForClients } from "./advice.ts";
import type { DialOutcome } from "./dial.ts";
import type { Judgement } from "./judge.ts";
import { printable } from "./printable.ts";
import { namesIssuerOf, nameText } from "./name-text.ts";
import type { Asked, NegotiatedReport, Offered, Step } from "./report.ts";
import { groupName, isGrease, signatureName, suiteName, versionName } from "./wire/names.ts";
import type { Transcript } from "./wire/transcript.ts";

/** What a ClientHello had in it. */
export function offeredIn({ clientHello }: Transcript): Offered | null {
  if (clientHello === null) return null;
  const named = (codes: readonly number[], name: (code: number) => string): string[] =>
    codes.filter((code) => !isGrease(code) && !SIGNALS.has(code)).map(name);
  return {
    versions: named(clientHello.versions, versionName),
    cipherSuites: named(clientHello.suites, suiteName),
    groups: named(clientHello.groups, groupName),
    signatures: named(clientHello.signatures, signatureName),
    alpn: clientHello.alpn,
    serverName: clientHello.serverName,
  };
}

/** What the ClientHello offered. */
export function offerStep(offered: Offered): Step {
  const { versions, serverName, alpn } = offered;
  const sorted = [...versions].sort();
  const range = [...new Set([sorted[0], sorted.at(-1)])].join(" to ");
  return ok(
    "offer",
    `${range}, ${serverName === null ? "no server name" : `server name ${serverName}`}, ${alpnText(alpn)}`,
    [
      `suites      ${listed(offered.cipherSuites, 4)}`,
      `groups      ${listed(offered.groups, 6)}`,
      `signatures  ${listed(offered.signatures, 4)}`,
    ],
  );
}

/** Null: the server has not answered. */
export function negotiatedIn({ transcript, negotiated }: DialOutcome): NegotiatedReport | null {
  const { serverHello, group, serverSignature, alpn } = transcript;
  if (serverHello === null) return null;
  return {
    version: versionName(serverHello.version),
    cipher: suiteName(serverHello.suite),
    group: group === null ? null : groupName(group),
    signature: serverSignature === null ? null : signatureName(serverSignature),
    alpn: negotiated?.alpn ?? alpn,
    resumes: null,
  };
}

/** What the two agreed on. */
export function helloStep(
  { version, cipher, group, signature }: NegotiatedReport,
  transcript: Transcript,
): Step {
  const parts = [version, cipher, ...(group === null ? [] : [`key exchange ${group}`])];
  return ok("hello", parts.join(", "), [
    ...(signature === null ? [] : [`it signs with ${signature}`]),
    ...(transcript.retriedGroup === null
      ? []
      : [`it asked for a key share of ${groupName(transcript.retriedGroup)}, which costs a round trip`]),
    ...(transcript.stapled ? ["with an OCSP staple"] : []),
  ]);
}

/** The server's request for a client certificate; null: it made none. */
export function askedIn({ request }: Transcript): Asked | null {
  if (request === null) return null;
  return {
    authorities: request.authorities.map(nameText),
    signatures: request.signatures.filter((code) => !isGrease(code)).map(signatureName),
  };
}

/** What the server asks of a client certificate. */
export function requestStep(asked: Asked | null): Step {
  if (asked === null) return ok("request", "it asks for no client certificate", []);
  const { authorities, signatures } = asked;
  return ok("request", "it asks for a client certificate", [
    authorities.length === 0
      ? "of any CA: it names none"
      : `of ${authorities.slice(0, MAX_NAMES).join("; of ")}${authorities.length > MAX_NAMES ? `; and ${authorities.length - MAX_NAMES} more` : ""}`,
    ...(signatures.length === 0 ? [] : [`signing with ${listed(signatures, 4)}`]),
  ]);
}

/** What the peer presents; `now` in milliseconds since the epoch, for what ends soon. */
export function certificateStep({ certificates }: Judgement, now: number): Step {
  const [leaf] = certificates;
  const count = certificates.length === 1 ? "one certificate" : `${certificates.length} certificates`;
  return ok(
    "certificate",
    leaf === undefined
      ? "none"
      : `${leaf.subject === "" ? (namesOf(leaf)[0] ?? "no subject") : leaf.subject}, ${count}`,
    [
      ...certificates.slice(0, MAX_SHOWN).flatMap((facts, index) => certificateLines(facts, index, now)),
      ...(certificates.length > MAX_SHOWN
        ? [`and ${certificates.length - MAX_SHOWN} more, which \`--format json\` has`]
        : []),
    ],
  );
}

/** `verified`: false where nothing is verified by the gateway, and what is wrong is only said. */
export function checksStep(judgement: Judgement, verified: boolean): Step {
  const { faults, identity } = judgement;
  const [first] = faults;
  const details = checkLines(judgement);
  if (first === undefined)
    return verified
      ? ok("checks", `it is good, and it is ${identity}`, details)
      : { step: "checks", status: "warning", says: "nothing is verified: no CA is given", details };
  return { step: "checks", status: verified ? "failed" : "warning", says: first.says, details };
}

/** One for each check; those that nothing is asked of share the last. */
export function checkLines({ checks }: Judgement): string[] {
  const asked = checks.filter(({ status, check }) => status !== "not-asked" || check === "chain");
  const others = checks.filter((check) => !asked.includes(check)).map(({ check }) => check);
  return [
    ...asked.map(({ check, status, says }) => `${MARKS[status]} ${check.padEnd(11)}${says}`),
    ...(others.length === 0 ? [] : [`${MARKS["not-asked"]} not asked  ${others.join(", ")}`]),
  ];
}

/** What went over the wire of ours, which may be less than what we have: OpenSSL keeps back what the peer does not take. */
export function presentedIn({ clientChain }: Transcript): CertificateFacts[] {
  return (clientChain ?? []).flatMap((der) => {
    const certificate = parseCertificate(der);
    return certificate === null ? [] : [certificateFacts(certificate)];
  });
}

/** What was presented to the peer, and where it is not what was asked for. */
export function presentedStep(
  presented: readonly CertificateFacts[],
  credential: Pick<Credential, "facts"> | undefined,
  asked: Asked | null,
  transcript: Transcript,
): Step {
  const [leaf] = presented;
  const own = credential?.facts[0];
  if (leaf !== undefined) {
    const chain = (transcript.clientChain ?? []).flatMap((der) => parseCertificate(der) ?? []);
    const authorities = transcript.request?.authorities ?? [];
    const isNamed = authorities.length === 0 || namesIssuerOf(authorities, chain);
    const signature = transcript.clientSignature;
    return {
      step: "presented",
      status: isNamed && isForClients(leaf) ? "ok" : "warning",
      says: `${leaf.subject || namesOf(leaf)[0]}, issued by ${leaf.issuer}`,
      details: [
        `${presented.length === 1 ? "one certificate" : `${presented.length} certificates`}, ${leaf.keyType}${signature === null ? "" : `, signing with ${signatureName(signature)}`}`,
        ...(isNamed ? [] : ["none of our issuers is among the CAs that the peer names"]),
        ...(isForClients(leaf) ? [] : ["it is not meant for clients (extendedKeyUsage without clientAuth)"]),
      ],
    };
  }
  if (asked === null)
    return ok("presented", own === undefined ? "nothing" : "nothing: our certificate was not asked for", []);
  return {
    step: "presented",
    status: "warning",
    says:
      own === undefined
        ? "nothing: there is no certificate to present"
        : `nothing: our ${own.keyType} key fits none of the signature algorithms that it asks for`,
    details: [],
  };
}

/** `inTls12`: it was dialled once more, in the version that leaves no doubt. */
export function acceptedStep(
  { transcript, negotiated, response }: DialOutcome,
  asked: Asked | null,
  accepted: boolean | null,
  inTls12: boolean,
  waitedMs: number,
): Step {
  const answer = response === null ? [] : [`it answers ${printable(response)}`];
  if (asked === null) return ok("accepted", "the handshake is done", answer);
  if (accepted === null)
    return {
      step: "accepted",
      status: "warning",
      says: `it has not objected within ${waitedMs} ms, and TLS 1.3 gives no other sign`,
      details: ["a request makes sure of it: --request"],
    };
  const shown = (transcript.clientChain ?? []).length > 0;
  const says = shown ? "it takes our certificate" : "it goes on without a certificate";
  const sign = inTls12
    ? ["it does so in TLS 1.2, where it looks before it goes on; in TLS 1.3 it has not objected"]
    : response === null && negotiated?.protocol === "TLS 1.3"
      ? ["it gave a session ticket, which it does only then"]
      : [];
  const doubt =
    response === null ? ["nginx for one refuses a request, not a handshake: --request asks it"] : [];
  return ok("accepted", says, [...answer, ...sign, ...doubt]);
}

/** Which protocol the server chose. */
export function alpnStep(offered: readonly string[], { negotiated }: DialOutcome): Step {
  const chosen = negotiated?.alpn ?? null;
  if (chosen !== null) return ok("alpn", `it chooses ${chosen}`, []);
  if (offered.length === 0) return ok("alpn", "no protocol is named", []);
  return ok("alpn", `it chooses none, so ${offered[0]} is spoken as if it had`, []);
}

/** Values in a ClientHello's suites that are no suites (RFC 5746, RFC 7507). */
const SIGNALS = new Set([0x00ff, 0x5600]);
const MARKS = { ok: "✓", failed: "✗", "not-asked": "·" } as const;
const MAX_NAMES = 8;
/** Certificates: nobody needs so many, some servers send whole bundles. */
const MAX_SHOWN = 8;

function certificateLines(facts: CertificateFacts, index: number, now: number): string[] {
  const { subject, issuer, notBefore, notAfter, keyType, sha256, serial, isCa } = facts;
  const names = namesOf(facts);
  return [
    `${index}  ${subject === "" ? "no subject" : subject}${isCa ? " (CA)" : ""}`,
    `   issuer   ${issuer}`,
    ...(names.length === 0 ? [] : [`   names    ${listed(names, 8)}`]),
    `   dates    ${day(notBefore)} to ${day(notAfter)}, ${daysText(notAfter, now)}`,
    `   key      ${keyType}, serial ${serial}`,
    `   sha256   ${sha256}`,
  ];
}

function namesOf({ dnsNames, ipAddresses, uris }: CertificateFacts): string[] {
  return [...dnsNames, ...ipAddresses, ...uris];
}

function daysText(moment: number, now: number): string {
  const days = Math.floor((moment - now) / 86_400_000);
  if (Number.isNaN(days)) return "which cannot be read";
  return days < 0 ? "expired" : days === 1 ? "1 day left" : `${days} days left`;
}

function day(moment: number): string {
  return Number.isNaN(moment) ? "?" : new Date(moment).toISOString().slice(0, 16).replace("T", " ");
}

function alpnText(alpn: readonly string[]): string {
  return alpn.length === 0 ? "no ALPN" : `ALPN ${alpn.join(", ")}`;
}

function listed(names: readonly string[], most: number): string {
  if (names.length === 0) return "none";
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

function ok(step: Step["step"], says: string, details: readonly string[]): Step {
  return { step, status: "ok", says, details };
}
