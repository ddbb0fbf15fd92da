import assert from "node:assert/strict";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Authorization,
  type CheckRequest,
  CheckResponseSchema,
} from "../../../../src/protobuf/generated/envoy/service/auth/v3/external_auth_pb.js";
import { mappingYaml } from "../../../support/certificates.ts";
import { runOn } from "../../../support/engine-under-test.ts";
import { startGateway } from "../../../support/gateway.ts";
import { startUpstream } from "../../../support/upstream.ts";

test("an AuthService over gRPC is shown the request, allows, refuses and changes headers", async () => {
  const asked: CheckRequest[] = [];
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Authorization, {
          check(request) {
            asked.push(request);
            const isAllowed = request.attributes?.request?.http?.headers["x-let-me"] === "in";
            return create(CheckResponseSchema, {
              status: { code: isAllowed ? 0 : 7 },
              httpResponse: isAllowed
                ? {
                    case: "okResponse",
                    value: {
                      headers: [{ header: { key: "x-user-id", value: "alice" } }],
                      headersToRemove: ["x-let-me"],
                    },
                  }
                : { case: "deniedResponse", value: { status: { code: 401 }, body: "who are you?" } },
            });
          },
        }),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream = await startUpstream("cleartext");
  const service = {
    apiVersion: "getambassador.io/v2",
    kind: "AuthService",
    metadata: { name: "auth" },
    spec: {
      auth_service: `localhost:${(server.address() as AddressInfo).port}`,
      proto: "grpc",
      include_body: { max_bytes: 4, allow_partial: true },
    },
  };
  const mapping = { prefix: "/", service: `localhost:${upstream.port}` };
  const gateway = await runOn("envoy", () =>
    startGateway({
      "all.yaml":
        mappingYaml("m", { ...mapping, auth_context_extensions: { tenant: "shop", plan: "free" } }) +
        mappingYaml("other", { ...mapping, prefix: "/other/" }) +
        mappingYaml("past", { ...mapping, prefix: "/past/", bypass_auth: true }) +
        `---\n${JSON.stringify(service)}\n`,
    }),
  );
  try {
    const url = `http://localhost:${gateway.httpPort}`;
    const refused = await fetch(`${url}/a?b=c`, { method: "POST", body: "hello" });
    assert.equal(refused.status, 401);
    assert.equal(await refused.text(), "who are you?");
    const http = asked[0]?.attributes?.request?.http;
    assert.equal(http?.method, "POST");
    assert.equal(http?.path, "/a?b=c");
    assert.equal(http?.body, "hell");
    assert.equal(upstream.seen.length, 0);
    const allowed = await fetch(url, { headers: { "x-let-me": "in", "x-user-id": "mallory" } });
    assert.equal(allowed.status, 200);
    assert.equal(upstream.seen[0]?.headers["x-user-id"], "alice");
    assert.equal(upstream.seen[0]?.headers["x-let-me"], undefined);
    assert.equal((await fetch(`${url}/past/`)).status, 200);
    assert.equal(asked.length, 2, "bypass_auth is not asked about");
    assert.deepEqual({ ...asked[0]?.attributes?.contextExtensions }, { plan: "free", tenant: "shop" });
    await fetch(`${url}/other/`);
    assert.deepEqual({ ...asked[2]?.attributes?.contextExtensions }, {}, "each Mapping tells its own");
  } finally {
    await gateway.stop();
    await upstream.close();
    server.close();
  }
});
