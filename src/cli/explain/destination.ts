import type { Credential, CredentialReader } from "../../credentials/credential.ts";
import type { AnsweredDestination } from "../../engines/node/explain.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { HeaderChanges, RetryPolicy } from "../../model/route.ts";
import type { TlsVersion, UpstreamTls } from "../../model/tls.ts";
import type { Places } from "./places.ts";
import { isIssued } from "../../resources/tls-identity.ts";

/** One of the Mappings that a route sends requests to. */
export interface DestinationReport {
  readonly name: string;
  readonly place: string | null;
  readonly weight: number;
  /** Per cent of the route's requests, to two digits. */
  readonly percent: number;
  readonly action: "forward" | "redirect" | "answer" | "fail";
  /** `fail`: why. */
  readonly reason?: string;
  readonly cause?: string;
  readonly location?: string;
  /** Who is asked before anything goes upstream; null: nobody. What it says may change the request further. */
  readonly authorization?: (UpstreamReport & { readonly name: string; readonly place: string | null }) | null;
  readonly upstream?: UpstreamReport;
  /** As it goes upstream. */
  readonly request?: {
    readonly path: string;
    readonly host: string;
    /** Header lines that the client did not send, and those of its own that do not go on. */
    readonly added: readonly string[];
    readonly removed: readonly string[];
  };
  readonly responseHeaders?: HeaderChanges;
  readonly timeouts?: {
    /** 0: none. */
    readonly responseMs: number;
    readonly idleMs: number | null;
    readonly connectMs: number;
  };
  readonly retry?: RetryPolicy;
  /** Names of the resources and credentials that had a part in it. */
  readonly resources: readonly string[];
}

export interface UpstreamReport {
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  /** Who knows the addresses, where it is not DNS. Nobody is asked for them here. */
  readonly resolver?: NonNullable<Cluster["resolver"]>;
  readonly tls: UpstreamTlsReport | null;
}

export interface UpstreamTlsReport {
  readonly context: string | null;
  readonly contextPlace: string | null;
  readonly sni: string | null;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Null: no client certificate is shown, or one that is not here yet. */
  readonly presents: CertificateReport | null;
  /** The name of what an issuer is asked for while the gateway runs, and not here; null: all is here. */
  readonly issued: string | null;
  readonly verifies: {
    readonly mode: "none" | "chain-and-name";
    readonly name: string | null;
    readonly trust: string | null;
    readonly trustPlace: string | null;
    readonly anchors: readonly { readonly subject: string; readonly notAfter: string }[];
  };
  /** Why the route answers 503 at this moment; null: nothing is missing. */
  readonly missing: string | null;
}

/** A certificate by what may be said of it; never its key. */
export interface CertificateReport {
  readonly credential: string;
  readonly place: string | null;
  readonly subject: string;
  readonly issuer: string;
  readonly names: readonly string[];
  /** ISO 8601: the earliest end in the chain. */
  readonly notAfter: string;
}

/** Where one destination of a route leads; `all` are the route's, for its share, and `sent` is the request's head. */
export function destinationReport(
  { destination, dispatch, missing, authorizationMissing }: AnsweredDestination,
  all: readonly AnsweredDestination[],
  sent: string,
  places: Places,
  credentials: CredentialReader,
): DestinationReport {
  const { name, weight } = destination;
  const total = all.reduce((sum, other) => sum + other.destination.weight, 0);
  const common = {
    name,
    place: places.of(name),
    weight,
    percent: Math.round((weight / total) * 10_000) / 100,
  };
  if (dispatch.kind === "fail")
    return { ...common, action: "fail", reason: dispatch.reason, cause: dispatch.cause, resources: [name] };
  if (dispatch.kind === "answer") {
    const location = /^location: (.*)\r\n/i.exec(dispatch.lines)?.[1];
    return location === undefined
      ? { ...common, action: "answer", resources: [name] }
      : { ...common, action: "redirect", location, resources: [name] };
  }
  const { action, question } = dispatch;
  const { config } = dispatch.cluster;
  const { idleTimeoutMs, retry, responseHeaders } = action;
  return {
    ...common,
    action: "forward",
    authorization:
      question === null
        ? null
        : {
            name: question.service.name,
            place: places.of(question.service.name),
            ...upstreamReport(question.cluster.config, authorizationMissing, places, credentials),
          },
    upstream: upstreamReport(config, missing, places, credentials),
    request: requestChanges(sent, question === null ? dispatch.head : question.allow([])),
    ...(responseHeaders === undefined ? {} : { responseHeaders }),
    timeouts: {
      responseMs: action.timeoutMs,
      idleMs: idleTimeoutMs ?? null,
      connectMs: config.connectTimeoutMs,
    },
    ...(retry === undefined ? {} : { retry }),
    resources: [name, ...resourcesOf(config.tls), ...(question === null ? [] : [question.service.name])],
  };
}

function upstreamReport(
  { name, service, resolver, tls }: Cluster,
  missing: string | null,
  places: Places,
  credentials: CredentialReader,
): UpstreamReport {
  return {
    cluster: name,
    host: service.host,
    port: service.port,
    ...(resolver === undefined ? {} : { resolver }),
    tls: tls.mode === "cleartext" ? null : tlsReport(tls, missing, places, credentials),
  };
}

function resourcesOf(tls: UpstreamTls): string[] {
  if (tls.mode === "cleartext") return [];
  return [
    ...(tls.context === undefined ? [] : [`tlscontext/${tls.context}`]),
    ...(tls.credential === undefined ? [] : [tls.credential]),
    ...(tls.verification.mode === "none" ? [] : [tls.verification.trust]),
  ];
}

function tlsReport(
  tls: Extract<UpstreamTls, { mode: "originate" }>,
  missing: string | null,
  places: Places,
  credentials: CredentialReader,
): UpstreamTlsReport {
  const credential = tls.credential === undefined ? undefined : credentials.credential(tls.credential);
  const { verification } = tls;
  const trust = verification.mode === "none" ? undefined : credentials.trust(verification.trust);
  return {
    context: tls.context ?? null,
    contextPlace: tls.context === undefined ? null : places.of(`tlscontext/${tls.context}`),
    sni: tls.sni ?? null,
    minVersion: tls.parameters.minVersion,
    maxVersion: tls.parameters.maxVersion,
    presents: credential === undefined ? null : certificateReport(credential, places),
    issued:
      tls.credential !== undefined && credential === undefined && isIssued(tls.credential)
        ? tls.credential
        : null,
    verifies: {
      mode: verification.mode,
      name: verification.mode === "none" ? null : verification.name,
      trust: verification.mode === "none" ? null : verification.trust,
      trustPlace: verification.mode === "none" ? null : places.of(verification.trust),
      anchors: (trust?.facts ?? []).map(({ subject, notAfter }) => ({
        subject,
        notAfter: new Date(notAfter).toISOString(),
      })),
    },
    missing,
  };
}

/** A certificate of the gateway's own, and where it was written. */
export function certificateReport(credential: Credential, places: Places): CertificateReport {
  const [leaf] = credential.facts;
  return {
    credential: credential.name,
    place: places.of(credential.name),
    subject: leaf?.subject ?? "",
    issuer: leaf?.issuer ?? "",
    names: [...(leaf?.dnsNames ?? []), ...(leaf?.ipAddresses ?? []), ...(leaf?.uris ?? [])],
    notAfter: new Date(credential.notAfter).toISOString(),
  };
}

/** What the engine's own head has more, and less, than the client's. */
function requestChanges(sent: string, forwarded: string): NonNullable<DestinationReport["request"]> {
  const [startLine = "", ...lines] = forwarded.split("\r\n").filter((line) => line !== "");
  const before = sent
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== "");
  const host = lines.find((line) => /^host:/i.test(line)) ?? "";
  return {
    path: startLine.split(" ")[1] ?? "",
    host: host.slice(host.indexOf(":") + 1).trim(),
    added: lines.filter((line) => !before.includes(line)),
    removed: before.filter((line) => !lines.includes(line)),
  };
}
