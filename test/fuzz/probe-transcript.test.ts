import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../support/fast-check.ts";
import { readTranscript } from "../../src/probe/wire/transcript.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 2000);

/** Records of all types, with messages that claim any length. */
const record = fc
  .record({
    type: fc.constantFrom(20, 21, 22, 22, 22, 23, 99),
    message: fc.constantFrom(1, 2, 4, 8, 11, 12, 13, 15, 20, 22, 0),
    body: fc.uint8Array({ maxLength: 80 }),
    honest: fc.boolean(),
  })
  .map(({ type, message, body, honest }) => {
    const length = honest ? body.length : (body[0] ?? 0) * 3;
    const content =
      type === 22 ? Buffer.from([message, 0, length >> 8, length & 255, ...body]) : Buffer.from(body);
    return Buffer.concat([Buffer.from([type, 3, 3, content.length >> 8, content.length & 255]), content]);
  });
const flow = fc.oneof(
  fc.array(record, { maxLength: 8 }).map((records) => Buffer.concat(records)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

test("whatever a peer sends is read to where it makes sense, and nothing is thrown", () => {
  const secrets = new Map(
    ["SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"].map((label) => [
      label,
      Buffer.alloc(32, 7),
    ]),
  );
  fc.assert(
    fc.property(flow, flow, (sent, received) => {
      const transcript = readTranscript({ sent, received, secrets });
      assert.ok(transcript.tickets >= 0);
      assert.equal(
        transcript.notTls !== null,
        received.length > 0 && !/^1[4-7](03|$)/.test(received.toString("hex", 0, 2)),
      );
    }),
    { numRuns: RUNS },
  );
});
