import { ENGINE_NAMES, type EngineName } from "../../src/model/capabilities.ts";
import type { IssuedCertificate } from "../../src/x509/authority.ts";
import { certificates, secretYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { type SeenRequest, startUpstream, type Upstream } from "../support/upstream.ts";
import { type Probe, requestOf } from "./engine-probes.ts";
import type { WorldPeers } from "./engine-worlds.ts";

/** One gateway of each engine, before the same upstreams. */
export interface EnginePair {
  readonly peers: WorldPeers;
  /** Both gateways have these resources from now on. */
  apply(yaml: string): Promise<void>;
  /** What the requests came to on each engine, without what may differ: dates, ids and the order of fields. */
  ask(probes: readonly Probe[]): Promise<Readonly<Record<EngineName, readonly Outcome[]>>>;
  stop(): Promise<void>;
}

/** What a request came to. */
export interface Outcome {
  /** null: the connection ended without an answer. */
  readonly status: number | null;
  /** The lines of interest, sorted. */
  readonly head: readonly string[];
  readonly body: string;
  readonly seen: readonly Seen[];
}

/** What an upstream was shown. */
export interface Seen {
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly clientSubject: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId: "the client's" | "none" | "a new one";
}

export async function startEnginePair(): Promise<EnginePair> {
  const names = ["first", "second", "mtls"] as const;
  const made = await Promise.all(
    names.map((name) =>
      startUpstream(name === "mtls" ? "mtls" : "cleartext", (request, response) => {
        const [wanted] = String(request.headers["x-want"] ?? "200").split(",");
        response.writeHead(Number(wanted), {
          "content-type": "text/x-answer",
          "x-upstream": name,
          "x-answer": "upstream",
          "access-control-allow-origin": "upstream",
        });
        response.end(request.headers["x-silent"] === undefined ? `answer of ${name}` : "");
      }),
    ),
  );
  const upstreams = Object.fromEntries(names.map((name, index) => [name, made[index]])) as Record<
    (typeof names)[number],
    Upstream
  >;
  const { ca, server, client, stranger } = await certificates();
  const clients: Readonly<Record<string, IssuedCertificate>> = {
    client,
    other: await ca.issue({ commonName: "other", dnsNames: ["other.example"], usage: "client" }),
    stranger: await stranger.issue({ commonName: "stranger", usage: "client" }),
  };
  const secrets = [
    secretYaml("ca", { ca: ca.certificate }),
    secretYaml("strangers", { ca: stranger.certificate }),
    secretYaml("server", server),
    ...Object.entries(clients).map(([name, identity]) => secretYaml(name, identity)),
  ].join("");
  const files = { "secrets.yaml": secrets, "world.yaml": "" };
  const [node, envoy] = await Promise.all(ENGINE_NAMES.map((engine) => startGateway(files, { engine })));
  const gateways = { node, envoy } as Record<EngineName, RunningGateway>;
  let asked = 0;

  async function outcome(engine: EngineName, probe: Probe): Promise<Outcome> {
    const ticket = String(++asked);
    const shows = clients[probe.certificate];
    const tls = {
      servername: probe.serverName,
      ...(shows === undefined ? {} : { cert: shows.certificate, key: shows.privateKey }),
    };
    const gateway = gateways[engine];
    // Where nothing is served over TLS there is no such listener.
    const isSecure = probe.via === "https" && gateway.httpsPort !== 0;
    const port = isSecure ? gateway.httpsPort : gateway.httpPort;
    const received = await exchangeBytes(port, requestOf(probe, [`${TICKET}: ${ticket}`]), {
      isEnough: (text) => isWhole(text, probe.method),
      ...(isSecure ? { tls } : {}),
    });
    const [answer] = parseAnswers(received);
    const seen = Object.entries(upstreams).flatMap(([name, upstream]) =>
      upstream.seen
        .filter(({ headers }) => headers[TICKET] === ticket)
        .map((request) => shown(name, request)),
    );
    if (answer === undefined) return { status: null, head: [], body: received, seen };
    return {
      status: answer.status,
      head: fieldsOf(answer.head).map((line) => line.replace(`:${gateway.httpsPort}/`, ":(https)/")),
      body: answer.body.replace(IDS, "(id)"),
      seen,
    };
  }

  return {
    peers: { first: upstreams.first.port, second: upstreams.second.port, mtls: upstreams.mtls.port },
    async apply(yaml) {
      for (const upstream of made) upstream.seen.length = 0;
      await Promise.all(Object.values(gateways).map((gateway) => gateway.replace("world.yaml", yaml)));
    },
    async ask(probes) {
      const [node, envoy] = await Promise.all(
        (["node", "envoy"] as const).map((engine) =>
          Promise.all(probes.map((probe) => outcome(engine, probe))),
        ),
      );
      return { node: node ?? [], envoy: envoy ?? [] };
    },
    async stop() {
      await Promise.all(Object.values(gateways).map((gateway) => gateway.stop()));
      await Promise.all(made.map((upstream) => upstream.close()));
    },
  };
}

/** By which an upstream's record of a request is found. */
const TICKET = "x-ticket";
const IDS = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** A close is not waited for: Envoy's comes a second after an answer of its own. */
function isWhole(received: string, method: string): boolean {
  const [answer] = parseAnswers(received);
  if (answer === undefined) return false;
  const length = method === "HEAD" ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(answer.head)?.[1] ?? 0);
  return answer.body.length >= length;
}

const OF_INTEREST =
  /^(?:location|server|allow|content-type|x-answer|x-added|x-upstream|x-envoy-.*|access-control-.*)$/;

function fieldsOf(head: string): readonly string[] {
  return head
    .split("\r\n")
    .slice(1)
    .map((line): [string, string] => [
      line.split(":", 1)[0]?.toLowerCase() ?? "",
      line.slice(line.indexOf(":") + 1).trim(),
    ])
    .filter(([name]) => OF_INTEREST.test(name))
    .map(([name, value]) => `${name}: ${value.replace(IDS, "(id)")}`)
    .sort();
}

/** Ids are made anew; the rest an upstream must be shown alike. */
function shown(upstream: string, { method, path, headers, clientSubject, body }: SeenRequest): Seen {
  const { "x-request-id": id, [TICKET]: _, ...others } = headers;
  const kept = Object.entries(others)
    .filter(([name]) => name !== "connection" && (name !== "content-length" || body !== ""))
    // A list is the same with blanks behind its commas or without (RFC 9110 §5.6.1).
    .map(([name, value]): [string, string] => [name, String(value).replaceAll(", ", ",")]);
  return {
    upstream,
    method,
    path,
    body,
    clientSubject,
    headers: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))),
    requestId: id === "mine" ? "the client's" : id === undefined ? "none" : "a new one",
  };
}
