import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { ENGINE_NAMES, type EngineName } from "../../src/model/capabilities.ts";
import { certificates, secretYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { type SeenRequest, startUpstream, type Upstream } from "../support/upstream.ts";
import { type Probe, probes, type World, worlds, worldYaml } from "./engine-worlds.ts";

/** `npm run differential` runs many more, on seeds of its own. */
const RUNS = Number(process.env.CREDENCE_DIFFERENTIAL_RUNS ?? 25);
const SEED = process.env.CREDENCE_DIFFERENTIAL_RUNS === undefined ? 1 : undefined;

let upstreams: Record<"first" | "second" | "mtls", Upstream>;
let gateways: Record<EngineName, RunningGateway>;

before(async () => {
  const answer: Parameters<typeof startUpstream>[1] = (_, response) =>
    response.setHeader("x-upstream", "1").end("answer");
  const [first, second, mtls] = await Promise.all([
    startUpstream("cleartext", answer),
    startUpstream("cleartext", answer),
    startUpstream("mtls", answer),
  ]);
  upstreams = { first, second, mtls };
  const { ca, server, client, stranger } = await certificates();
  const secrets =
    secretYaml("ca", { ca: ca.certificate }) +
    secretYaml("server", server) +
    secretYaml("client", client) +
    secretYaml("stranger", await stranger.issue({ commonName: "stranger", usage: "client" }));
  const files = { "secrets.yaml": secrets, "world.yaml": "" };
  const [node, envoy] = await Promise.all(ENGINE_NAMES.map((engine) => startGateway(files, { engine })));
  gateways = { node, envoy } as Record<EngineName, RunningGateway>;
});
after(async () => {
  await Promise.all(Object.values(gateways ?? {}).map((gateway) => gateway.stop()));
  await Promise.all(Object.values(upstreams ?? {}).map((upstream) => upstream.close()));
});

test("both engines give the same answer, from the same upstream, shown the same", async () => {
  const ports = { first: upstreams.first.port, second: upstreams.second.port, mtls: upstreams.mtls.port };
  await fc.assert(
    fc.asyncProperty(worlds, fc.array(probes, { minLength: 4, maxLength: 10 }), async (world, asked) => {
      const yaml = worldYaml(world, ports);
      await Promise.all(Object.values(gateways).map((gateway) => gateway.replace("world.yaml", yaml)));
      for (const probe of asked) {
        const node = await outcome("node", world, probe);
        const envoy = await outcome("envoy", world, probe);
        assert.deepEqual(envoy, node, `${JSON.stringify(probe)}\n${yaml}`);
      }
    }),
    { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: SEED }) },
  );
});

/** What a request came to, without what may differ: dates, ids and the order of fields. */
async function outcome(engine: EngineName, world: World, probe: Probe): Promise<unknown> {
  for (const upstream of Object.values(upstreams)) upstream.seen.length = 0;
  const { client } = await certificates();
  const { method, path, host, lines, certificate, serverName } = probe;
  const via = world.termination === "none" ? "http" : probe.via;
  const gateway = gateways[engine];
  const request = [`${method} ${path} HTTP/1.1`, `host: ${host}`, "connection: close", ...lines, "", ""].join(
    "\r\n",
  );
  const tls = {
    servername: serverName,
    ...(certificate ? { cert: client.certificate, key: client.privateKey } : {}),
  };
  const port = via === "https" ? gateway.httpsPort : gateway.httpPort;
  const [answer] = parseAnswers(
    await exchangeBytes(port, request, { isEnough, ...(via === "https" ? { tls } : {}) }),
  );
  const seen = Object.entries(upstreams).flatMap(([name, upstream]) =>
    upstream.seen.map((request) => [name, shown(request)]),
  );
  return { status: answer?.status ?? null, head: answer === undefined ? {} : fieldsOf(answer.head), seen };
}

/** A close is not waited for: Envoy's comes a second after an answer of its own. */
function isEnough(received: string): boolean {
  const [answer] = parseAnswers(received);
  if (answer === undefined) return false;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer.head)?.[1] ?? 0);
  return answer.body.length >= length;
}

const OF_INTEREST = /^(?:location|server|allow|x-answer|x-upstream|access-control-.*)$/;

function fieldsOf(head: string): Record<string, string> {
  const fields = head
    .split("\r\n")
    .slice(1)
    .map((line): [string, string] => [
      line.split(":", 1)[0]?.toLowerCase() ?? "",
      line.slice(line.indexOf(":") + 1).trim(),
    ])
    .filter(([name]) => OF_INTEREST.test(name));
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Ids are made anew; the rest an upstream must be shown alike. */
function shown({ method, path, headers, clientSubject }: SeenRequest): unknown {
  const { "x-request-id": id, ...others } = headers;
  const kept = Object.entries(others)
    .filter(([name]) => !OF_ONE_ENGINE.has(name))
    // A list is the same with blanks behind its commas or without (RFC 9110 §5.6.1).
    .map(([name, value]): [string, string] => [name, String(value).replaceAll(", ", ",")]);
  return {
    method,
    path,
    clientSubject,
    headers: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))),
    requestId: id === "mine" ? "the client's" : id === undefined ? "none" : "a new one",
  };
}

/** docs/engines.md */
const OF_ONE_ENGINE = new Set(["content-length", "connection"]);
