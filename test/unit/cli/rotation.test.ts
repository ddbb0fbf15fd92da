import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AnchorReport, ReportedBundle, ReportedPlace } from "../../../src/admin/anchors.ts";
import { judgeRotation, type RotationQuestion } from "../../../src/cli/certs/rotation.ts";

const HOUR_MS = 3_600_000;
const NOW = Date.parse("2026-11-26T12:00:00Z");
const ago = (hours: number): string => new Date(NOW - hours * HOUR_MS).toISOString();
const QUESTION: RotationQuestion = { quietForMs: 24 * HOUR_MS, allowUnseen: false };

const OLD = {
  sha256: "a0".repeat(32),
  subject: "CN=old",
  serial: "1",
  notBefore: ago(9000),
  notAfter: ago(-900),
};
const NEW = {
  sha256: "b0".repeat(32),
  subject: "CN=new",
  serial: "2",
  notBefore: ago(100),
  notAfter: ago(-9000),
};

/** When each CA was seen, hours ago, by peer. */
function place(peers: Readonly<Record<string, { old?: number; new?: number }>>): ReportedPlace {
  const seen = (sha256: string, hours: number | undefined) =>
    hours === undefined ? [] : [{ sha256, handshakes: 1, firstSeen: ago(hours), lastSeen: ago(hours) }];
  const latest = (which: "old" | "new"): number | undefined => {
    const all = Object.values(peers).flatMap((peer) => peer[which] ?? []);
    return all.length === 0 ? undefined : Math.min(...all);
  };
  return {
    direction: "upstream",
    place: "quote:443",
    unlisted: 0,
    anchors: [...seen(OLD.sha256, latest("old")), ...seen(NEW.sha256, latest("new"))],
    peers: Object.entries(peers).map(([peer, at]) => ({
      peer,
      anchors: [...seen(OLD.sha256, at.old), ...seen(NEW.sha256, at.new)],
    })),
  };
}

function report(changes: Partial<ReportedBundle> = {}, whole: Partial<AnchorReport> = {}): AnchorReport {
  const bundle: ReportedBundle = {
    name: "secret/default/ca",
    generation: 2,
    usedBy: [{ direction: "upstream", place: "quote:443" }],
    anchors: [
      { ...OLD, since: ago(200) },
      { ...NEW, since: ago(50) },
    ],
    places: [place({ one: { old: 60, new: 2 } })],
    ...changes,
  };
  return {
    version: 1,
    time: ago(0),
    observedSince: ago(200),
    forgottenPlaces: 0,
    bundles: [bundle],
    ...whole,
  };
}

function reasons(given: AnchorReport, question: Partial<RotationQuestion> = {}): string[][] {
  return judgeRotation(given, { ...QUESTION, ...question }).flatMap(({ roots }) =>
    roots.map((root) => [...root.reasons]),
  );
}

describe("an old CA may go when", () => {
  test("nothing has chained to it for long enough and every peer is back with another", () => {
    assert.deepEqual(reasons(report()), [[]]);
  });

  test("nothing chained to it lately", () => {
    const [found] = reasons(report({ places: [place({ one: { old: 23, new: 2 } })] }));
    assert.deepEqual(found, ["cluster quote:443 chained to it 23 hours ago, and it must be quiet for 1 day"]);
    assert.deepEqual(
      reasons(report({ places: [place({ one: { old: 23, new: 2 } })] }), { quietForMs: HOUR_MS }),
      [[]],
    );
  });

  test("no peer was left behind, however long ago", () => {
    const places = [place({ one: { old: 60, new: 2 }, two: { old: 190 }, three: { old: 40, new: 45 } })];
    assert.deepEqual(reasons(report({ places })), [
      [
        "two (cluster quote:443) was last seen with it 7 days ago, and not since with another CA",
        "three (cluster quote:443) was last seen with it 1 day ago, and not since with another CA",
      ],
    ]);
  });

  test("the other one was there all the while, as far as the process knows", () => {
    const anchors = [
      { ...OLD, since: ago(3) },
      { ...NEW, since: ago(3) },
    ];
    const [found] = reasons(
      report({ anchors, places: [place({ one: { new: 2 } })] }, { observedSince: ago(3) }),
    );
    assert.deepEqual(found, [
      "another CA has been in the bundle for no more than 3 hours, as far as this process knows (it began 3 hours ago)",
    ]);
  });

  test("everybody who uses the bundle was seen, or that is waived", () => {
    const usedBy = [
      { direction: "upstream", place: "quote:443" },
      { direction: "client", place: "https" },
    ] as const;
    const [found] = reasons(report({ usedBy }));
    assert.match(found?.join() ?? "", /^clients of listener https has had no verified handshake/);
    assert.deepEqual(reasons(report({ usedBy }), { allowUnseen: true }), [[]]);
  });

  test("nothing went uncounted, or that is waived", () => {
    const places = [{ ...place({ one: { old: 60, new: 2 } }), unlisted: 7 }];
    assert.match(
      reasons(report({ places }))[0]?.join() ?? "",
      /^7 handshakes of cluster quote:443 were of peers/,
    );
    assert.deepEqual(reasons(report({ places }), { allowUnseen: true }), [[]]);
    assert.deepEqual(
      reasons(report({}, { forgottenPlaces: 3 })),
      [[]],
      "it would be missed if it were in use",
    );
    const waived = reasons(report({}, { forgottenPlaces: 3 }), { allowUnseen: true });
    assert.match(waived[0]?.join() ?? "", /^3 places were forgotten/);
  });
});

test("a cluster that is no more holds nothing up", () => {
  const gone = { ...place({ one: { old: 1 } }), place: "gone:443" };
  assert.deepEqual(reasons(report({ places: [place({ one: { old: 60, new: 2 } }), gone] })), [[]]);
});

test("of one CA there is nothing to say, unless it is asked about; the newest is asked about by name alone", () => {
  const alone = report({ anchors: [{ ...OLD, since: ago(200) }] });
  assert.deepEqual(reasons(alone), []);
  assert.match(reasons(alone, { root: "CN=old" })[0]?.[0] ?? "", /^it is the only CA of the bundle/);
  assert.deepEqual(
    judgeRotation(report(), { ...QUESTION, root: "b0b0" })[0]?.roots.map(({ anchor, safe }) => [
      anchor.subject,
      safe,
    ]),
    [["CN=new", false]],
  );
  assert.deepEqual(judgeRotation(report(), { ...QUESTION, bundle: "secret/default/other" }), []);
});
