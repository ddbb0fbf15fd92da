import { peerExpectation, revocationOf } from "../credentials/peer-expectation.ts";
import type { Endpoint } from "../endpoints/endpoint.ts";
import { addressText } from "../model/address.ts";
import type { ServerTls, TlsParameters } from "../model/tls.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { certificateFacts } from "../x509/facts.ts";
import { parsed, pinOf } from "../x509/parsed-certificate.ts";
import { parsePem } from "../x509/pem.ts";
import { readAnchors } from "../x509/verify.ts";
import type { Situation } from "./advice.ts";
import type { ProbeContext } from "./context.ts";
import type { ProbeFailure } from "./failure.ts";
import { explainHandshake, type HandshakeParts } from "./handshake.ts";
import { type Judgement, judgePeer } from "./judge.ts";
import { listenerChanges } from "./listener-advice.ts";
import { PROXY_HEADERS } from "./preface.ts";
import type { PeerReport, Step } from "./report.ts";
import { checkLines } from "./steps.ts";
import { verdictOf } from "./verdict.ts";

/** A name that the gateway serves over TLS, as one of its clients meets it. */
export interface ListenerTarget {
  /** `a.example`, `*.example` or `*`. */
  readonly domain: string;
  readonly tls: Extract<ServerTls, { mode: "terminate" }>;
  /** All domains of the gateway: a name that none of them has is refused. */
  readonly domains: readonly string[];
  /** Who named the domain, by the model's name. */
  readonly origin: string;
  /** Null: nobody is dialled, and only certificates are judged. */
  readonly endpoint: Endpoint | null;
  /** Whether the endpoint was asked for: then it must be there. */
  readonly mustAnswer: boolean;
  /** Connections begin with a PROXY header, as those of a load balancer do: one is sent that speaks for nobody. */
  readonly behindProxy: boolean;
  /** Null: none is sent. */
  readonly serverName: string | null;
}

/** The client whose part we take. */
export interface ProbedClient {
  /** PEM, leaf first; null: it has no certificate. */
  readonly chain: string | null;
  /** PEM; null: the certificate is judged and cannot be shown. */
  readonly key: string | null;
  /** PEM of the CAs that it trusts; null: unknown, and the listener's certificate is not held against any. */
  readonly anchors: readonly string[] | null;
}

const CLIENT_PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

/**
 * Explains the gateway's own listener to one of its clients: what it asks for, whether the client's certificate would do
 * by the resources, and where the gateway runs, what comes of it.
 */
export async function probeListener(
  target: ListenerTarget,
  client: ProbedClient,
  context: ProbeContext,
): Promise<PeerReport> {
  const { domain, tls, endpoint } = target;
  const steps: Step[] = [];
  const failures: ProbeFailure[] = [];
  const notes: string[] = [];
  const own = credentialStep(target, context);
  steps.push(own.step);
  failures.push(...own.failures);
  const judged = own.failures.length > 0 ? null : judgeClient(tls, client, context);
  if (judged !== null) {
    steps.push(judged.step);
    failures.push(...judged.failures);
  }
  let parts: HandshakeParts | null = null;
  if (endpoint !== null) {
    const found = await explainHandshake(questionOf(target, client, endpoint), context);
    if ("unconnected" in found) {
      const { says } = found.unconnected;
      const text = target.mustAnswer ? says : `${says}: the gateway does not run there, so nothing was tried`;
      steps.push({
        step: "connect",
        status: target.mustAnswer ? "failed" : "warning",
        says: text,
        details: [],
      });
      if (target.mustAnswer) failures.push(found.unconnected);
    } else {
      parts = found;
      steps.push(...found.steps);
      failures.push(...liveFailures(found, failures.length > 0));
      notes.push(...differences(target, client, found, failures, context));
    }
  }
  const situation = situationOf(target, judged?.judgement ?? null, client, parts, context);
  return {
    side: "listener",
    name: domain,
    host: endpoint?.address ?? "127.0.0.1",
    port: endpoint?.port ?? 0,
    addresses: endpoint === null ? [] : [endpoint.address],
    address: parts === null || endpoint === null ? null : addressText(endpoint.address, endpoint.port),
    decidedBy: [target.origin, situation.credential, situation.trust]
      .filter((name) => name !== null)
      .map((name) => ({ name, place: context.place(name, "") })),
    steps,
    offered: parts?.offered ?? null,
    negotiated: parts?.negotiated ?? null,
    asked: parts?.asked ?? null,
    certificates: parts?.certificates ?? [],
    checks: parts?.checks ?? [],
    client:
      judged?.judgement == null
        ? null
        : { certificates: judged.judgement.certificates, checks: judged.judgement.checks },
    presented: parts?.presented ?? [],
    accepted: parts?.accepted ?? null,
    verdict: verdictOf(
      failures,
      (failure) => listenerChanges(failure, situation, target.serverName),
      notes,
      parts === null
        ? "by the resources the handshake would succeed; nobody was dialled"
        : `the handshake succeeds${parts.accepted === null ? ", as far as TLS 1.3 lets one tell" : ""}`,
    ),
  };
}

function credentialStep(
  { tls, domain, domains, serverName }: ListenerTarget,
  { credentials }: ProbeContext,
): { readonly step: Step; readonly failures: readonly ProbeFailure[] } {
  const credential = credentials.credential(tls.credential);
  const { clients } = tls;
  const trust = clients.mode === "none" ? undefined : credentials.trust(clients.trust);
  if (!domains.some((each) => covers(each, serverName))) {
    const says = `no Host and no TLSContext serves ${serverName ?? "a client that sends no server name"}`;
    return {
      step: { step: "credential", status: "failed", says, details: [] },
      failures: [{ reason: "sni_unknown", step: "credential", says }],
    };
  }
  const missing =
    credential === undefined
      ? tls.credential
      : clients.mode !== "none" && trust === undefined
        ? clients.trust
        : null;
  if (missing !== null) {
    const says = `${missing} is not usable, so handshakes for ${domain} are refused`;
    return {
      step: { step: "credential", status: "failed", says, details: [] },
      failures: [{ reason: "credential_unavailable", step: "credential", says }],
    };
  }
  const asks =
    clients.mode === "none"
      ? "asks for no client certificate"
      : `${clients.mode === "required" ? "requires" : "asks for"} a client certificate of ${(trust?.facts ?? []).map(({ subject }) => subject).join(" or of ")}`;
  return {
    step: {
      step: "credential",
      status: "ok",
      says: `${domain} presents ${credential?.facts[0]?.subject || tls.credential}, and ${asks}`,
      details: [],
    },
    failures: [],
  };
}

/** A wildcard has any number of labels before its suffix, and `*` also those who send no name. */
function covers(domain: string, serverName: string | null): boolean {
  if (domain === "*") return true;
  if (serverName === null) return false;
  return domain.startsWith("*.") ? serverName.endsWith(domain.slice(1)) : domain === serverName;
}

interface JudgedClient {
  readonly judgement: Judgement | null;
  readonly step: Step;
  readonly failures: readonly ProbeFailure[];
}

/** By the resources alone, as the gateway would once it sees the certificate. */
function judgeClient(
  { clients }: ListenerTarget["tls"],
  { chain }: ProbedClient,
  context: ProbeContext,
): JudgedClient | null {
  if (clients.mode === "none") return null;
  if (chain === null) {
    const isRequired = clients.mode === "required";
    const says = isRequired
      ? "no certificate is given, and one is required"
      : "no certificate is given, and none is required";
    return {
      judgement: null,
      step: { step: "client", status: isRequired ? "failed" : "ok", says, details: [] },
      failures: isRequired ? [{ reason: "client_certificate_missing", step: "client", says }] : [],
    };
  }
  const { trust, rules } = clients;
  const { credentials, now } = context;
  const evidence = { trust: credentials.trust(trust), crl: revocationOf(rules, credentials) };
  const judgement = judgePeer(derOf(chain), peerExpectation({ usage: "client" }, evidence, rules), now);
  const [first] = judgement.faults;
  return {
    judgement,
    step: {
      step: "client",
      status: first === undefined ? "ok" : "failed",
      says: first === undefined ? `the gateway would take it for ${judgement.identity}` : first.says,
      details: checkLines(judgement),
    },
    failures: judgement.faults.map(({ fault, says }) => ({ reason: fault, step: "client", says })),
  };
}

function questionOf(
  { serverName, domain, behindProxy }: ListenerTarget,
  { chain, key, anchors }: ProbedClient,
  endpoint: Endpoint,
): Parameters<typeof explainHandshake>[0] {
  const facts =
    chain === null || key === null ? [] : derOf(chain).flatMap((der) => parseCertificate(der) ?? []);
  return {
    endpoint,
    offer: {
      parameters: CLIENT_PARAMETERS,
      alpn: ["http/1.1"],
      asksStaple: true,
      ...(behindProxy ? { preface: PROXY_HEADERS[0].bytes } : {}),
      serverName,
      certificate: chain === null || key === null ? null : { chain, key },
      anchors: anchors ?? [],
    },
    expected: {
      usage: "server",
      anchors: readAnchors(anchors ?? []),
      ...(serverName === null ? {} : { name: serverName }),
    },
    verified: anchors !== null,
    credential: facts.length === 0 ? undefined : { facts: facts.map(certificateFacts) },
    host: serverName ?? domain,
    timeoutMs: LISTENER_TIMEOUT_MS,
  };
}

const LISTENER_TIMEOUT_MS = 5000;

/** What a refusal is about may be known from the resources already: it is the same refusal, seen twice. */
function liveFailures({ failures }: HandshakeParts, isKnown: boolean): readonly ProbeFailure[] {
  return failures.filter(({ step }) => !isKnown || (step !== "accepted" && step !== "hello"));
}

/** Where what answers is not what these resources say. */
function differences(
  { tls }: ListenerTarget,
  { chain, key }: ProbedClient,
  { certificates, accepted }: HandshakeParts,
  failures: readonly ProbeFailure[],
  { credentials }: ProbeContext,
): string[] {
  const notes: string[] = [];
  const shown = certificates[0];
  const ours = credentials.credential(tls.credential)?.facts[0];
  if (shown !== undefined && ours !== undefined && shown.sha256 !== ours.sha256)
    notes.push(
      `what answers presents another certificate (${shown.subject}, serial ${shown.serial}) than ${tls.credential} has: it is another server, or has not read it yet`,
    );
  const judgedBad = failures.some(({ step }) => step === "client");
  if (judgedBad && accepted === true && (chain === null || key !== null))
    notes.push("what answers accepts the client all the same: it does not run these resources");
  if (!judgedBad && failures.some(({ reason }) => reason === "client_certificate_refused"))
    notes.push("by these resources the client would be taken: what answers has others");
  if (chain !== null && key === null)
    notes.push("without its key (--key) the certificate was judged and not shown");
  return notes;
}

function situationOf(
  { tls, origin, serverName, domain }: ListenerTarget,
  judgement: Judgement | null,
  { chain }: ProbedClient,
  parts: HandshakeParts | null,
  { place }: ProbeContext,
): Situation {
  const [der] = chain === null ? [] : derOf(chain);
  const leaf = der === undefined ? null : parseCertificate(der);
  const read = leaf === null ? null : parsed(leaf);
  return {
    users: [],
    context: origin,
    credential: tls.credential,
    trust: tls.clients.mode === "none" ? null : tls.clients.trust,
    own: null,
    isDiscovered: false,
    isClient: true,
    rules: (tls.clients.mode === "none" ? null : tls.clients.rules) ?? null,
    parameters: tls.parameters,
    host: serverName ?? domain,
    leaf: judgement?.certificates[0] ?? null,
    top: judgement?.certificates.at(-1) ?? null,
    pin: read === null || typeof read === "string" ? null : pinOf(read),
    authorities: parts?.asked?.authorities ?? [],
    takes: parts?.takes ?? null,
    place,
  };
}

function derOf(chain: string): Buffer[] {
  const read = parsePem(chain);
  if (!read.ok) return [];
  return read.blocks
    .filter(({ label }) => label === "CERTIFICATE")
    .map(({ text }) => Buffer.from(text.replace(/-----[^-]+-----/g, ""), "base64"));
}
