import assert from "node:assert/strict";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { mappingYaml } from "../../../support/certificates.ts";
import { runOn } from "../../../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../../../support/gateway.ts";

const LONG = "all work and no play ".repeat(100);

/** Envoy with `gzip` as the Module has it, before an upstream that answers as the path says. */
async function compressing(t: TestContext, gzip: unknown): Promise<RunningGateway> {
  const upstream = createServer((request, response) => {
    const [, type = "", etag] = (request.url ?? "").split(/[?&]/);
    response.setHeader("content-type", type);
    if (etag !== undefined) response.setHeader("etag", '"1"');
    response.setHeader("x-accepted", request.headers["accept-encoding"] ?? "nothing");
    response.end(request.url?.includes("short") === true ? "short" : LONG);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "localhost", resolve));
  t.after(() => upstream.close());
  const module = {
    apiVersion: "getambassador.io/v2",
    kind: "Module",
    metadata: { name: "ambassador" },
    spec: {
      config: { gzip, error_response_overrides: [{ on_status_code: 404, body: { text_format: LONG } }] },
    },
  };
  const service = `localhost:${(upstream.address() as AddressInfo).port}`;
  const gateway = await runOn("envoy", () =>
    startGateway({
      "all.yaml": `${mappingYaml("m", { prefix: "/a/", rewrite: "", service })}---\n${JSON.stringify(module)}\n`,
    }),
  );
  t.after(() => gateway.stop());
  return gateway;
}

interface Answer {
  readonly encoding: string | undefined;
  readonly accepted: string | undefined;
  readonly text: string;
}

/** As it came over the wire, and opened. */
async function ask(gateway: RunningGateway, path: string, accepts = "gzip"): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { host: "localhost", "accept-encoding": accepts };
    get({ host: "127.0.0.1", port: gateway.httpPort, path, headers, agent: false }, resolve).on(
      "error",
      reject,
    );
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const encoding = response.headers["content-encoding"];
  return {
    encoding,
    accepted: response.headers["x-accepted"] as string | undefined,
    text: (encoding === "gzip" ? gunzipSync(body) : body).toString(),
  };
}

test("responses are compressed for clients that take gzip", async (t) => {
  const gateway = await compressing(t, {});
  const compressed = await ask(gateway, "/a/?text/plain");
  assert.deepEqual(compressed, { encoding: "gzip", accepted: "gzip", text: LONG });
  assert.equal((await ask(gateway, "/a/?text/plain", "br")).encoding, undefined);
  assert.equal((await ask(gateway, "/a/?image/png")).encoding, undefined);
  assert.deepEqual(await ask(gateway, "/a/short?text/plain"), {
    encoding: undefined,
    accepted: "gzip",
    text: "short",
  });
  // A body that was replaced on the way out is compressed as well, and once.
  const missing = await ask(gateway, "/nowhere");
  assert.deepEqual([missing.encoding, missing.text], ["gzip", LONG]);
});

test("the Module says which, and how", async (t) => {
  const gateway = await compressing(t, {
    content_type: ["image/png"],
    min_content_length: 1,
    compression_level: "BEST",
    compression_strategy: "HUFFMAN",
    window_bits: 15,
    memory_level: 9,
    disable_on_etag_header: true,
    remove_accept_encoding_header: true,
  });
  assert.equal((await ask(gateway, "/a/?text/plain")).encoding, undefined);
  assert.deepEqual(await ask(gateway, "/a/short?image/png"), {
    encoding: "gzip",
    accepted: "nothing",
    text: "short",
  });
  assert.equal((await ask(gateway, "/a/?image/png&etag")).encoding, undefined);
});
