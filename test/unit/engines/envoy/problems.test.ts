import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdsClient, AdsNack } from "../../../../src/engines/envoy/ads/client.ts";
import { problemsOf } from "../../../../src/engines/envoy/problems.ts";

function nack(name: string, detail: string): AdsNack {
  const from = ["mapping/default/shop"];
  return { kind: "virtual-host", name, version: "1", detail, at: 0, from, instead: "closed" };
}

const client = (node: string, ...nacks: AdsNack[]): AdsClient => ({ node, nacks }) as unknown as AdsClient;
const messages = (...fleet: AdsClient[]): string[] =>
  problemsOf(fleet, new Set()).map(({ message }) => message);

test("what is refused in many hosts, by many Envoys, for one reason is told once", () => {
  const hosts = ["e", "d", "c", "b", "a"].map((host) => nack(`http/${host}.example`, "no such thing"));
  assert.deepEqual(messages(client("two", ...hosts), client("one", ...hosts)), [
    "Envoy refuses virtual-host http/a.example, http/b.example, http/c.example and 2 more: no such thing; " +
      "the route answers 503, the others of its host are served (one, two)",
  ]);
  assert.equal(messages(client("one", nack("a", "this"), nack("b", "that"))).length, 2);
});

test("of Envoy's words those are told that say what is wrong, not the whole message that it repeats", () => {
  const about = (detail: string): string | undefined =>
    /Envoy refuses virtual-host x: (.*); the route answers 503/.exec(
      messages(client("one", nack("x", detail)))[0] ?? "",
    )?.[1];
  assert.equal(
    about(
      'goo.gle/debugproto    \nname: "http/x"\nroutes {\n  match {\n    prefix: "/a/"\n  }\n}\n: Proto constraint validation failed ' +
        "(VirtualHostValidationError.Routes[0]: embedded message failed validation | caused by RouteMatchValidationError.Headers[0]: " +
        "embedded message failed validation | caused by HeaderMatcherValidationError.Name: value length must be at least 1 characters)",
    ),
    "HeaderMatcherValidationError.Name: value length must be at least 1 characters",
  );
  assert.equal(
    about(
      "Invalid duration: Duration out-of-range according to Protobuf: goo.gle/debugproto    \nseconds: 1000000000000\n",
    ),
    "Invalid duration: Duration out-of-range according to Protobuf: seconds: 1000000000000",
  );
  assert.equal(about(`no argument for repetition operator: ${"*".repeat(1000)}`)?.length, 401);
});
