import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceFiles } from "./source-files.ts";

/** Who writes the first line of a response in the node engine. Failures become responses in one of them. */
const WRITERS: Readonly<Record<string, string>> = {
  "failures.ts": "every failure: the client learns status and id, the operator the rest",
  "auth/refusal.ts": "what an AuthService answered",
  "dispatch.ts": "a redirect, a preflight's answer, a probe: no failures",
  "exchange.ts": "100 Continue",
  "http1/forward.ts": "what the upstream answered",
  "tls/handshake-failure.ts": "cleartext on a TLS port, where there is no request yet",
};

const NODE = sourceFiles().filter(({ path }) => path.startsWith("engines/node/"));

test("failures become responses in one place (node engine)", () => {
  const writers = NODE.filter(({ text }) => /["`]HTTP\/1\.1 /.test(text)).map(({ path }) => inEngine(path));
  assert.deepEqual(writers, Object.keys(WRITERS).sort());
});

function inEngine(path: string): string {
  return path.replace("engines/node/", "");
}
