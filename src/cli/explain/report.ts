import { X509Certificate } from "node:crypto";
import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { FAILURE_REASONS, type FailureReason } from "../../diagnostics/failure.ts";
import type { Answer, Question } from "../../engines/node/explain.ts";
import type { Mismatch } from "../../engines/node/near-misses.ts";
import type { RouteMatch } from "../../model/route.ts";
import type { TlsParameters } from "../../model/tls.ts";
import { verifyPeerName } from "../../x509/names.ts";
import type { LoadedGateway } from "../load.ts";
import {
  type CertificateReport,
  certificateReport,
  type DestinationReport,
  destinationReport,
} from "./destination.ts";
import { Places } from "./places.ts";

/** The JSON of `credence explain`; docs/explain.md describes it. Fields are added, never changed. */
export interface ExplainReport {
  readonly version: 1;
  readonly request: { readonly method: string; readonly url: string; readonly headers: readonly string[] };
  readonly verdict: Verdict;
  readonly listener: {
    readonly name: string;
    readonly port: number;
    readonly transport: "cleartext" | "tls";
  };
  /** Null on a cleartext listener. */
  readonly handshake: HandshakeReport | null;
  /** The virtual host of the Host header; null where none has it. */
  readonly host: HostReport | null;
  readonly route: RouteReport | null;
  readonly destinations: readonly DestinationReport[];
  /** Routes whose path, or nearly so, is the request's, and on what each failed; in the order of precedence. */
  readonly nearMisses: readonly NearMiss[];
  /** Findings about the resources named above. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface Verdict {
  readonly kind: "forward" | "redirect" | "answer" | "refuse" | "handshake-refused";
  /** What the client sees; null where the upstream decides, or a handshake fails. */
  readonly status: number | null;
  readonly reason?: string;
  readonly cause?: string;
  readonly location?: string;
}

export interface HostReport {
  readonly domain: string;
  readonly origin: string;
  readonly place: string | null;
  readonly cleartext: "route" | "redirect" | "reject";
}

export interface HandshakeReport {
  readonly serverName: string | null;
  readonly served: boolean;
  readonly failure?: string;
  readonly host: HostReport | null;
  readonly certificate: CertificateReport | null;
  /** Whether a client that asked for this server name would take the certificate for its owner's (RFC 9525). */
  readonly coversName: boolean | null;
  readonly parameters: TlsParameters | null;
  readonly clients: {
    readonly mode: string;
    readonly trust: string | null;
    readonly anchors: readonly string[];
  };
  readonly client: { readonly kind: string; readonly reason?: string; readonly anchor?: string } | null;
}

export interface RouteReport {
  readonly name: string;
  readonly place: string | null;
  /** Counted from 1 among all routes, in the order of precedence. */
  readonly position: number;
  readonly match: RouteMatch;
  readonly mirror: { readonly name: string; readonly place: string | null; readonly percent: number } | null;
}

export interface NearMiss {
  readonly route: string;
  readonly place: string | null;
  readonly mismatches: readonly Mismatch[];
}

/** What the engine's answer means, with the resources that made each part of it. */
export function reportOn(
  url: string,
  question: Question,
  answer: Answer,
  gateway: LoadedGateway,
): ExplainReport {
  const places = new Places(gateway);
  const { model } = gateway.compilation;
  const [startLine = "", ...headers] = question.head.split("\r\n").slice(0, -1);
  const destinations = answer.destinations.map((each) =>
    destinationReport(each, answer.destinations, question.head, places, gateway.store),
  );
  const { admission } = answer;
  const route = admission?.kind === "route" ? admission.route : null;
  const handshake = handshakeReport(question, answer, places);
  const host = answer.host === undefined ? null : hostReport(answer.host, places);
  const nearMisses = answer.judged
    .filter(({ mismatches }) => mismatches.length > 0)
    .slice(0, NEAR_MISSES_SHOWN)
    .map(({ route: { name }, mismatches }) => ({ route: name, place: places.of(name), mismatches }));
  const concerned = new Set([
    ...destinations.flatMap(({ resources }) => resources),
    ...(host === null ? [] : [host.origin]),
    ...(handshake?.host == null ? [] : [handshake.host.origin]),
  ]);
  return {
    version: 1,
    request: { method: startLine.split(" ")[0] as string, url, headers },
    verdict: verdictOn(answer),
    listener: {
      name: question.listener.name,
      port: question.listener.port,
      transport: question.listener.transport,
    },
    handshake,
    host,
    route:
      route === null
        ? null
        : {
            name: route.name,
            place: places.of(route.name),
            position: model.routes.indexOf(route) + 1,
            match: route.match,
            mirror:
              route.mirror === undefined
                ? null
                : {
                    name: route.mirror.name,
                    place: places.of(route.mirror.name),
                    percent: route.mirror.percent,
                  },
          },
    destinations,
    nearMisses,
    diagnostics: gateway.diagnostics.filter(({ subject: { kind, namespace, name } }) =>
      concerned.has(`${kind.toLowerCase()}/${namespace}/${name}`),
    ),
  };
}

const NEAR_MISSES_SHOWN = 5;

function verdictOn({ handshake, admission, destinations }: Answer): Verdict {
  if (handshake?.served === false)
    return { kind: "handshake-refused", status: null, reason: handshake.failure };
  if (handshake?.served === true && handshake.client.kind === "refused")
    return {
      kind: "handshake-refused",
      status: null,
      reason: "client_certificate",
      cause: handshake.client.reason,
    };
  if (admission === null) return { kind: "refuse", status: null };
  if (admission.kind === "refuse") return refusal(admission.reason, admission.cause);
  if (admission.kind === "redirect") return { kind: "redirect", status: 301, location: admission.location };
  if (admission.kind === "probe") return { kind: "answer", status: admission.status, reason: "health probe" };
  // Worst first: one destination that fails is some of the requests failing.
  for (const { dispatch, missing } of destinations) {
    if (dispatch.kind === "fail") return refusal(dispatch.reason, dispatch.cause);
    if (missing !== null) return refusal("credential_unavailable", missing);
  }
  const [first] = destinations;
  if (first?.dispatch.kind !== "answer") return { kind: "forward", status: null };
  const location = /^location: (.*)\r\n/i.exec(first.dispatch.lines)?.[1];
  return location === undefined
    ? { kind: "answer", status: first.dispatch.status, reason: "CORS preflight" }
    : { kind: "redirect", status: first.dispatch.status, location };
}

function refusal(reason: FailureReason, cause: string): Verdict {
  return { kind: "refuse", status: FAILURE_REASONS[reason], reason, cause };
}

function hostReport(host: NonNullable<Answer["host"]>, places: Places): HostReport {
  const { domain, origin, cleartext } = host;
  return { domain, origin, place: places.of(origin), cleartext };
}

function handshakeReport(question: Question, answer: Answer, places: Places): HandshakeReport | null {
  const { handshake } = answer;
  if (handshake === null) return null;
  const { serverName } = question;
  const host = handshake.host === undefined ? null : hostReport(handshake.host, places);
  if (!handshake.served)
    return {
      serverName,
      served: false,
      failure: handshake.failure,
      host,
      certificate: null,
      coversName: null,
      parameters: null,
      clients: { mode: "none", trust: null, anchors: [] },
      client: null,
    };
  const { clients, credential, trust, client } = handshake;
  return {
    serverName,
    served: true,
    host,
    certificate: credential === null ? null : certificateReport(credential, places),
    coversName:
      serverName === null || credential === null
        ? null
        : verifyPeerName(new X509Certificate(credential.certificateChain), serverName).ok,
    parameters: handshake.host.tls.mode === "terminate" ? handshake.host.tls.parameters : null,
    clients: {
      mode: clients.mode,
      trust: clients.mode === "none" ? null : clients.trust,
      anchors: (trust?.facts ?? []).map(({ subject }) => subject),
    },
    client,
  };
}
