import assert from "node:assert/strict";
import { test } from "node:test";
import { accessLines } from "../../../../../src/engines/envoy/process/access-lines.ts";
import { RevisionHistory } from "../../../../../src/engines/envoy/process/revision-history.ts";

const SERVED =
  '{"response_details":"via_upstream","response_flags":"-","status":500,"time":"2026-01-01T00:00:01.000Z"}';
const REFUSED =
  '{"failure":null,"response_details":"low_version","response_flags":"-","status":426,"time":"2026-01-01T00:00:02.000Z","upstream_failure":null}';

function completed(pieces: readonly string[]): string[] {
  const revisions = new RevisionHistory();
  revisions.note(1, Date.parse("2026-01-01T00:00:00Z"));
  revisions.note(1, Date.parse("2026-01-01T00:00:01.500Z"));
  revisions.note(2, Date.parse("2026-01-01T00:00:01.700Z"));
  let text = "";
  let lines = 0;
  const output = accessLines(
    {
      write: (written, count) => {
        text += written;
        lines += count;
      },
    },
    revisions.at,
  );
  for (const piece of pieces) output.write(piece);
  output.end();
  const found = text.split("\n").slice(0, -1);
  assert.equal(found.length, lines);
  return found;
}

test("a line is completed however it comes in pieces, by the revision of the time that it tells of", () => {
  const whole = completed([`${SERVED}\n${REFUSED}\n`]).map((line) => JSON.parse(line));
  assert.deepEqual(whole[0], { ...JSON.parse(SERVED), handshake: null, revision: 1 });
  assert.deepEqual(whole[1], {
    ...JSON.parse(REFUSED),
    failure: "http10_refused",
    handshake: null,
    revision: 2,
  });
  const text = `${SERVED}\n${REFUSED}`;
  for (let at = 0; at <= text.length; at++)
    assert.deepEqual(
      completed([text.slice(0, at), text.slice(at)]).map((line) => JSON.parse(line)),
      whole,
    );
});

test("what is no line of the access log goes on as it is", () => {
  for (const line of ["", "terminate called", '{"time":"now"}', '{"time":"2026-01-01T00:00:02.000Z",}'])
    assert.deepEqual(completed([`${line}\n`]), [line]);
});

test("of a time before the first revision it is the first", () => {
  const revisions = new RevisionHistory();
  assert.equal(revisions.at(5), null);
  revisions.note(3, 10);
  assert.equal(revisions.at(5), 3);
});
