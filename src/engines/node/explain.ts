import { X509Certificate } from "node:crypto";
import type { Credential, CredentialReader, TrustBundle } from "../../credentials/credential.ts";
import { NOTHING_DISCOVERED } from "../../endpoints/discovered.ts";
import type { EndpointReader } from "../../endpoints/endpoint.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Listener, VirtualHost } from "../../model/listener.ts";
import type { Destination, Route } from "../../model/route.ts";
import type { ClientAuth, UpstreamTls } from "../../model/tls.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { oneLineName } from "../../x509/certificate.ts";
import { verifyPeer } from "../../x509/verify.ts";
import { type Admission, admit, matchedHost, nameOf } from "./admission.ts";
import { Deadlines } from "./deadlines.ts";
import { type Dispatch, dispatch } from "./dispatch.ts";
import { normalisePath } from "./http1/path.ts";
import { RequestHead } from "./http1/request-head.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { ConnectionFacts } from "./listener.ts";
import { type JudgedRoute, judgeRoutes } from "./near-misses.ts";
import { createPlan, type Plan } from "./plan.ts";
import { clientEvidence, type PolicyTerms, policyTerms } from "./tls/policy.ts";
import { findServedName } from "./tls/served-name.ts";
import { UpstreamCluster } from "./upstream/cluster.ts";
import { Generation } from "./upstream/generation.ts";

/** A request that nobody sends. */
export interface Question {
  readonly listener: Listener;
  /** Of the handshake, in lower case; null: none. */
  readonly serverName: string | null;
  /** Start line and header lines, each with its CRLF, without the blank line. */
  readonly head: string;
  readonly remoteAddress: string;
  /** What the client shows, leaf first; empty: it is assumed to show whatever the host asks for. */
  readonly clientCertificates: readonly X509Certificate[];
}

/** What the engine would do, by the code that does it. */
export interface Answer {
  /** Null on a cleartext listener. */
  readonly handshake: Handshake | null;
  /** The host of the request, which need not be the handshake's; undefined: unknown, or the head cannot be read. */
  readonly host: VirtualHost | undefined;
  /** Null where the handshake comes to nothing. */
  readonly admission: Admission | null;
  /** One for each destination of the route. */
  readonly destinations: readonly AnsweredDestination[];
  /** In the order of precedence; the request's own route is among them. */
  readonly judged: readonly JudgedRoute[];
}

export interface AnsweredDestination {
  readonly destination: Destination;
  readonly dispatch: Dispatch;
  /** What the upstream's TLS lacks at this moment; null: nothing. */
  readonly missing: string | null;
  /** The same of the service that is asked first. */
  readonly authorizationMissing: string | null;
}

export type Handshake =
  | {
      readonly served: true;
      readonly host: VirtualHost;
      readonly clients: ClientAuth;
      /** Null: an issuer is asked for it while the gateway runs. */
      readonly credential: Credential | null;
      readonly trust: TrustBundle | undefined;
      readonly client: ClientVerdict;
    }
  | { readonly served: false; readonly host: VirtualHost | undefined; readonly failure: string };

/** `assumed`: none was given, and one that is required is taken for shown. */
export type ClientVerdict =
  | { readonly kind: "not-asked" | "none" | "assumed" }
  | { readonly kind: "accepted"; readonly anchor: string }
  | { readonly kind: "refused"; readonly reason: string };

export interface ExplainContext {
  readonly credentials: CredentialReader;
  /** Names that somebody is asked for while the gateway runs: taken for delivered where they are not there. */
  readonly assumed?: (name: string) => boolean;
  readonly endpoints: EndpointReader;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Opens no socket and asks no DNS. */
export function explainRequest(model: GatewayModel, question: Question, context: ExplainContext): Answer {
  const { plan } = createPlan(
    { number: 0, hash: "", model },
    null,
    (config) =>
      new UpstreamCluster(config, {
        ...context,
        discovered: NOTHING_DISCOVERED,
        limits: DEFAULT_LIMITS,
        deadlines: new Deadlines(),
      }),
  );
  const handshake = question.listener.transport === "tls" ? shakeHands(plan, question, context) : null;
  if (handshake !== null && (!handshake.served || handshake.client.kind === "refused"))
    return { handshake, host: handshake.host, admission: null, destinations: [], judged: [] };

  const head = new RequestHead(DEFAULT_LIMITS.maxHeaders);
  const bytes = Buffer.from(question.head, "latin1");
  const most = model.http.maxHeadBytes ?? DEFAULT_LIMITS.maxHeadBytes;
  const problem =
    bytes.length - 2 > most
      ? ({ reason: "head_too_large", cause: `more than ${most} bytes` } as const)
      : head.parse(bytes, 0, bytes.length);
  if (problem !== null) {
    const admission = { kind: "refuse", ...problem } as const;
    return { handshake, host: undefined, admission, destinations: [], judged: [] };
  }
  const accepted = connectionFacts(question, handshake);
  const https = model.listeners.find(({ name }) => name === "https");
  const admission = admit(head, accepted, plan, { httpsPort: https?.port ?? null, draining: false });
  // A refusal does not say which path it was about.
  const path = normalisePath(head.target, plan.settings).path ?? head.target;
  const queryAt = path.indexOf("?");
  const judged = judgeRoutes(model.routes, queryAt === -1 ? path : path.slice(0, queryAt), {
    method: head.method,
    host: matchedHost(head, plan.settings),
    fields: head.fields,
    query: queryAt === -1 ? "" : path.slice(queryAt),
  });
  return {
    handshake,
    host: plan.hosts.find(nameOf(head)),
    admission,
    destinations: admission.kind === "route" ? answerAll(head, accepted, plan, admission, context) : [],
    judged,
  };
}

function answerAll(
  head: RequestHead,
  accepted: ConnectionFacts,
  plan: Plan,
  admitted: { readonly route: Route; readonly path: string },
  context: ExplainContext,
): AnsweredDestination[] {
  return admitted.route.destinations.map((destination) => {
    const found = dispatch(head, accepted, plan, admitted, "(made for each request)", destination);
    const lacks = (cluster: UpstreamCluster | undefined): string | null => {
      if (cluster === undefined || isAssumed(cluster.config.tls, context)) return null;
      const made = Generation.create(cluster.config.tls, context.credentials);
      return "missing" in made ? made.missing : null;
    };
    const forward = found.kind === "forward" ? found : undefined;
    return {
      destination,
      dispatch: found,
      missing: lacks(forward?.cluster),
      authorizationMissing: lacks(forward?.question?.cluster),
    };
  });
}

function isAssumed(tls: UpstreamTls, { credentials, assumed }: ExplainContext): boolean {
  const name = tls.mode === "cleartext" ? undefined : tls.credential;
  return name !== undefined && credentials.credential(name) === undefined && assumed?.(name) === true;
}

function shakeHands(plan: Plan, question: Question, context: ExplainContext): Handshake {
  const { credentials, clock, assumed } = context;
  const { serverName, clientCertificates } = question;
  const named = findServedName(plan.hosts, serverName);
  if ("failure" in named) {
    const host = named.failure === "sni_unknown" ? undefined : plan.hosts.find(serverName ?? "");
    return { served: false, host, failure: named.failure };
  }
  const { host, tls } = named;
  const { clients } = tls;
  const terms = policyTerms(tls, clientEvidence(clients, credentials));
  const credential = credentials.credential(tls.credential) ?? null;
  const isAwaited = credential === null && assumed?.(tls.credential) === true;
  if ((credential === null || terms === null) && !isAwaited)
    return { served: false, host, failure: "credential_unavailable" };
  // Whose CA is awaited is not judged either.
  const client = terms === null ? AWAITED_CLIENT : judgeClient(terms, clientCertificates, clock.now());
  return { served: true, host, clients, credential, trust: terms?.trust, client };
}

const AWAITED_CLIENT: ClientVerdict = { kind: "assumed" };

function judgeClient(
  { clients, expected }: PolicyTerms,
  [leaf, ...intermediates]: readonly X509Certificate[],
  now: number,
): ClientVerdict {
  if (clients.mode === "none" || expected === null) return { kind: "not-asked" };
  if (leaf === undefined) return { kind: clients.mode === "required" ? "assumed" : "none" };
  const checked = verifyPeer(leaf, intermediates, expected, now);
  if (!checked.ok) return { kind: "refused", reason: checked.message };
  return { kind: "accepted", anchor: oneLineName(checked.path.at(-1)?.subject) };
}

function connectionFacts(question: Question, handshake: Handshake | null): ConnectionFacts {
  const served = handshake?.served === true ? handshake : null;
  const [leaf] = question.clientCertificates;
  const shown = served?.client.kind === "accepted" ? leaf : undefined;
  const { address, port } = question.listener;
  return {
    socket: { remotePort: undefined, localAddress: address, localPort: port },
    listener: question.listener,
    remoteAddress: question.remoteAddress,
    secure: served !== null,
    serverName: question.serverName,
    clients: served?.clients ?? { mode: "none" },
    clientIdentity: shown === undefined ? null : oneLineName(shown.subject),
    clientCertificate: shown ?? null,
    ownCertificate: () =>
      served?.credential == null ? null : new X509Certificate(served.credential.certificateChain),
    tlsVersion: null,
    tlsCipher: null,
  };
}
