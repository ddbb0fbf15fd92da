import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../support/fast-check.ts";
import { decide } from "../../../../src/engines/envoy/host-decisions.ts";
import type { RouteScope } from "../../../../src/engines/envoy/route-scopes.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";
import type { VirtualHost } from "../../../../src/model/listener.ts";

const label = fc.constantFrom("a", "b", "");
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const domain = fc.oneof(
  name,
  name.map((below) => `*.${below}`),
  fc.constant("*"),
);

test("a domain gets what its own host says, else the longest wildcard above it, else `*`", () => {
  fc.assert(
    fc.property(fc.uniqueArray(domain, { maxLength: 6 }), domain, (domains, asked) => {
      const virtualHosts = domains.map(
        (each): VirtualHost => ({
          domain: each,
          origin: each,
          tls: { mode: "refuse", code: each },
          cleartext: "reject",
        }),
      );
      // Behind a trusted proxy the decision names the host's code: it tells which host was found.
      const http = { useRemoteAddress: false, xffTrustedHops: 0 } as GatewayModel["http"];
      const model = { http, virtualHosts } as unknown as GatewayModel;
      const scope = { name: "http", listener: { name: "http" }, clients: null } as RouteScope;
      const { forwarded } = decide(asked, scope, model);
      const covering = domains
        .filter((each) => each === asked || each === "*" || covers(each, asked))
        .sort((a, b) => Number(b === asked) - Number(a === asked) || b.length - a.length);
      const expected = covering[0] ?? "unknown host";
      assert.equal(forwarded?.kind === "refuse" ? forwarded.cause : null, expected);
    }),
  );
});

function covers(wildcard: string, asked: string): boolean {
  const suffix = wildcard.slice(1);
  return wildcard.startsWith("*.") && asked.length > suffix.length && asked.endsWith(suffix);
}
