import assert from "node:assert/strict";
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { test } from "node:test";
import fc from "../../../../support/fast-check.ts";
import { routeScopes } from "../../../../../src/engines/envoy/route-scopes.ts";
import { virtualHosts } from "../../../../../src/engines/envoy/virtual-hosts.ts";
import type { Route } from "../../../../../src/model/route.ts";
import { type RoutedListener, startEnvoyWithRoutes } from "../../../../support/envoy-routes.ts";
import { startUpstream } from "../../../../support/upstream.ts";
import { type GeneratedRequest, models, requests } from "./generated.ts";
import { climbs, OtherEngine, pathUpstream, redirectOf } from "./other-engine.ts";

const SEED = 20_261_125;

test("a sample of generated models: real Envoy answers as the node engine does", async (t) => {
  const upstream = await startUpstream("cleartext");
  t.after(() => upstream.close());
  const sample = fc.sample(models, { numRuns: Number(process.env.CREDENCE_ENVOY_SAMPLES ?? 12), seed: SEED });
  const worlds = sample.flatMap((model) => {
    const https = model.listeners.find(({ name }) => name === "https")?.port ?? null;
    return routeScopes(model).map((scope) => {
      const hosts = virtualHosts(scope, model, https).map(({ message }) => message);
      const listener: RoutedListener = {
        virtualHosts: hosts,
        manager: {
          use_remote_address: model.http.useRemoteAddress,
          xff_num_trusted_hops: model.http.xffTrustedHops,
          early_header_mutation_extensions: [ASSERTED],
        },
      };
      return { model, scope, listener, isTree: hosts.some(({ matcher }) => matcher !== undefined) };
    });
  });
  assert(worlds.some(({ isTree }) => isTree));
  const envoy = await startEnvoyWithRoutes(
    worlds.map(({ listener }) => listener),
    { up: upstream.port },
  );
  t.after(() => envoy.stop());
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => agent.destroy());
  const asked = fc.sample(requests, { numRuns: 60, seed: SEED });
  const counts = { refuse: 0, redirect: 0, route: 0 };
  await Promise.all(
    worlds.map(async ({ model, scope }, index) => {
      const other = new OtherEngine(model);
      for (const request of asked) {
        const answer = await ask(envoy.ports[index] as number, request, agent);
        const verdict = other.decide(request, scope);
        counts[verdict.kind]++;
        const about = JSON.stringify({ request, answer, scope: scope.name, verdict });
        if (verdict.kind === "refuse") assert.equal(answer.status, verdict.status, about);
        else if (verdict.kind === "redirect") {
          assert.equal(answer.status, 301, about);
          assert.equal(withoutDefaultPort(answer.location), withoutDefaultPort(verdict.location), about);
        } else
          compareRouted(verdict.route, request, answer, scope.clients === null ? "http" : "https", about);
      }
    }),
  );
  for (const [kind, count] of Object.entries(counts)) assert(count > 50, `${count} of ${kind}`);
});

interface Answer {
  readonly status: number;
  readonly route: string;
  readonly location: string;
  readonly body: string;
}

function compareRouted(
  route: Route,
  request: GeneratedRequest,
  answer: Answer,
  scheme: "http" | "https",
  about: string,
): void {
  const index = route.destinations.findIndex(({ name }) => name === answer.route);
  assert.notEqual(index, -1, about);
  const action = route.destinations[index]?.action;
  if (answer.status === 400) {
    assert(climbs(route, index, request.target) || /\.(?:\/|\?|$)/.test(request.target), about);
  } else if (action?.kind === "fail") assert.equal(answer.status, 503, about);
  else if (action?.kind === "redirect") {
    assert.equal(answer.status, action.status, about);
    assert.equal(answer.location, redirectOf(action, route, request.target, scheme), about);
  } else {
    assert.equal(answer.status, 200, about);
    assert.equal(JSON.parse(answer.body).path, pathUpstream(route, index, request.target), about);
  }
}

function ask(
  port: number,
  { method, target, host, headers }: GeneratedRequest,
  agent: Agent,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const lines = ["host", host, ...headers.flat()];
    if (method === "POST") lines.push("content-length", "0");
    httpRequest(
      { host: "127.0.0.1", port, method, path: target, headers: lines, agent },
      (response: IncomingMessage) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            route: String(response.headers["x-route"] ?? ""),
            location: response.headers.location ?? "",
            body,
          }),
        );
      },
    )
      .on("error", reject)
      .end();
  });
}

/** Names without their case; a port that says nothing is the same as none. */
function withoutDefaultPort(location: string): string {
  const [, authority = "", rest = ""] = /^https:\/\/([^/]*)(.*)$/.exec(location) ?? [];
  return `https://${authority
    .toLowerCase()
    .replace(/:443$/, "")
    .replace(/\.(?=:|$)/, "")}${rest}`;
}

const ASSERTED = {
  name: "envoy.http.early_header_mutation.header_mutation",
  typed_config: {
    "@type":
      "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    mutations: [{ remove: "l5d-dst-override" }, { remove: "x-envoy-x" }],
  },
};
