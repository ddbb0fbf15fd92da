import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ConnectionOptions } from "node:tls";
import fc from "../support/fast-check.ts";
import { authServiceYaml } from "../behaviour/auth-setup.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { readAll, talk } from "./pipeline-client.ts";
import { type Cuts, cut, cuts, mutate, mutations } from "./cuts.ts";
import {
  type Expected,
  methodOf,
  others,
  requests,
  type Said,
  SHOWN_BYTES,
  written,
} from "./pipeline-requests.ts";
import { type Seen, startLenient, startRecorder, WAYS } from "./pipeline-upstream.ts";

// Of the embedded engine: pipelined requests, cut anywhere, on several connections at once, cleartext and TLS on either
// side, before an upstream that answers in every framing there is. Nobody's bytes may become another's, nothing may be
// lost, said twice or out of order, and how the bytes are cut may decide nothing.

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 60);
const seen: Seen[] = [];
/** Of the gateway that terminates TLS, which has an AuthService. */
const asked: Seen[] = [];
let cleartext: RunningGateway;
let terminating: RunningGateway;
let secure: ConnectionOptions;
let stop: () => Promise<void>;

before(async () => {
  const { ca, server } = await certificates();
  const plain = await startRecorder(seen, null);
  const tls = await startRecorder(seen, { cert: server.certificate, key: server.privateKey });
  const any = await startLenient(seen);
  // An authorization service that lets everybody in, sooner or later.
  const authorizer = await startLenient(asked, () => asked.length % 5);
  const rule = {
    rewrite: "/",
    timeout_ms: 30_000,
    retry_policy: { retry_on: "5xx", num_retries: 1 },
  };
  const options = { engine: "node", limits: { headTimeoutMs: 30_000, bodyTimeoutMs: 30_000 } } as const;
  const yaml =
    secretYaml("ca", { ca: ca.certificate }) +
    tlsContextYaml("upstream", { ca_secret: "ca", sni: "localhost" }) +
    mappingYaml("plain", { ...rule, prefix: "/plain/", service: `127.0.0.1:${plain.port}` }) +
    mappingYaml("any", { ...rule, prefix: "/any/", service: `127.0.0.1:${any.port}` }) +
    mappingYaml("tls", {
      ...rule,
      prefix: "/tls/",
      service: `https://localhost:${tls.port}`,
      tls: "upstream",
    });
  cleartext = await startGateway({ "all.yaml": yaml }, options);
  const context = tlsContextYaml("server", { hosts: ["localhost"], secret: "server" });
  const auth = authServiceYaml("auth", {
    auth_service: `127.0.0.1:${authorizer.port}`,
    include_body: { max_bytes: SHOWN_BYTES, allow_partial: true },
  });
  const files = { "all.yaml": yaml + secretYaml("server", server) + context + auth };
  terminating = await startGateway(files, options);
  secure = { ca: ca.certificate, servername: "localhost" };
  stop = async () => {
    await Promise.all([cleartext.stop(), terminating.stop()]);
    plain.close();
    any.close();
    authorizer.close();
    tls.close();
  };
});

after(() => stop());

function say(pieces: readonly Buffer[], isSecure: boolean): Promise<string> {
  return isSecure ? talk(terminating.httpsPort, pieces, secure) : talk(cleartext.httpPort, pieces, null);
}

let runs = 0;

/** What one connection comes to: responses up to the one that closes it, and what reaches the upstream. */
async function converse(saids: readonly Said[], isSecure: boolean, where: Cuts, id: string): Promise<void> {
  const all = saids.map((said, index) => written(said, `${id}-${index}`));
  const text = all.map((each) => each.text).join("");
  const answers = readAll(await say(cut(text, where), isSecure), saids.map(methodOf));

  const expected: Expected[] = [];
  for (const [index, each] of all.entries()) {
    expected.push(each.expected);
    const closes = each.expected.closes ?? answers[index]?.closes ?? true;
    if (closes) break;
  }
  assert.equal(answers.length, expected.length, `${answers.length} answers to ${expected.length} requests`);
  for (const [index, answer] of answers.entries()) {
    const { status, body, hints, mayContinue, closes } = expected[index] as Expected;
    if (status === null) assert.ok(answer.status >= 400, `a poisoned one is answered with ${answer.status}`);
    else assert.equal(answer.status, status, `answer ${index}`);
    if (body !== null) assert.ok(answer.body === body, `answer ${index} has another's body`);
    if (closes !== null) assert.equal(answer.closes, closes, `whether answer ${index} closes`);
    assert.equal(answer.interim.filter((each) => each === 103).length, hints);
    const others = answer.interim.filter((each) => each !== 103);
    assert.ok(others.length <= (mayContinue ? 1 : 0) && others.every((each) => each === 100));
  }
  assert.deepEqual(
    seen.filter((each) => each.includes(`/${id}-`)),
    expected.flatMap((each) => each.seen),
  );
  if (!isSecure) return;
  assert.deepEqual(
    asked.filter((each) => each.includes(`/${id}-`)),
    expected.flatMap((each) => (each.asked === null ? [] : [each.asked])),
  );
}

test("each client gets its own answers, in order, and each request is said once, however both are cut", async () => {
  const said = fc.oneof(
    { weight: 12, arbitrary: requests(WAYS, ["plain", "tls"], fc.boolean()) },
    { weight: 2, arbitrary: others },
  );
  const client = fc.record({
    saids: fc.array(said, { minLength: 1, maxLength: 8 }),
    isSecure: fc.boolean(),
    where: cuts,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(client, { minLength: 1, maxLength: 4 }), async (clients) => {
      const run = ++runs;
      seen.length = asked.length = 0;
      await Promise.all(
        clients.map(({ saids, isSecure, where }, index) =>
          converse(saids, isSecure, where, `${run}-${index}`),
        ),
      );
    }),
    { numRuns: RUNS },
  );
});

/** What may be put anywhere, or something be replaced by. */
const SCRAPS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  "0",
  "\r\n ",
  "\xa0",
  "0\r\n\r\n",
  "Content-Length: 7\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "GET /any/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
  " HTTP/1.1",
];
const mutation = mutations(SCRAPS);

/** Less what is different each time. */
function lasting(text: string): string {
  return text.replace(/\r\ndate: [^\r]*/g, "").replace(/"id":"[^"]*"/g, "");
}

test("whatever a client says, it comes to the same however it is cut", async () => {
  const small = requests(["sized"], ["any"], fc.constant(false), fc.nat(60));
  const saids = fc.array(fc.oneof({ weight: 6, arbitrary: small }, others), { minLength: 1, maxLength: 4 });
  let answered = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      saids,
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      cuts,
      fc.boolean(),
      async (all, changes, where, isSecure) => {
        const id = `${++runs}-m`;
        const plain = all.map((said, index) => written(said, `${id}-${index}`).text).join("");
        const text = mutate(plain, changes);
        const outcome = async (pieces: Buffer[]): Promise<{ answers: string; said: Seen[] }> => {
          seen.length = 0;
          const answers = lasting(await say(pieces, isSecure));
          return { answers, said: [...seen] };
        };
        const whole = await outcome([Buffer.from(text, "latin1")]);
        assert.deepEqual(await outcome(cut(text, where)), whole, JSON.stringify(text));
        answered += whole.said.length;
        if (/HTTP\/1\.1 400 /.test(whole.answers)) refused++;
      },
    ),
    { numRuns: RUNS * 4 },
  );
  assert.ok(answered > RUNS && refused > RUNS / 2, `${answered} answered, ${refused} refused: too few`);
});

/** Heads with two flaws, one of which shows before the head is whole. */
const TWO_FLAWS = {
  "an older version and a bare LF": "GET /any/x HTTP/1.0\r\nHost: localhost\r\nA: b\nC: d\r\n\r\n",
  "too many fields and a bare LF": `GET /any/x HTTP/1.1\r\n${"A: b\r\n".repeat(150)}C: d\nE: f\r\n\r\n`,
  "too many bytes behind a bare LF": `GET /any/x HTTP/1.1\r\nA: b\nC: ${"d".repeat(70_000)}\r\n\r\n`,
  "too many bytes before a bare LF": `GET /any/x HTTP/1.1\r\nA: ${"b".repeat(70_000)}\nC: d\r\n\r\n`,
};

for (const [flaws, head] of Object.entries(TWO_FLAWS))
  test(`${flaws}: which of them is told does not depend on how the head is cut`, async () => {
    const lf = head.search(/[^\r]\n/) + 2;
    // So that the head is read as it is cut, which TLS makes sure of: its connection has been accepted.
    const before = Buffer.from("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const outcome = async (isSecure: boolean, ...pieces: string[]): Promise<string> =>
      lasting(await say([before, ...pieces.map((piece) => Buffer.from(piece))], isSecure));
    const whole = await outcome(false, head);
    assert.match(whole, /^HTTP\/1\.1 404 [\s\S]*HTTP\/1\.1 4(?:00|31) /);
    for (const at of [0, 1, lf - 1, lf, lf + 1, head.length - 2])
      for (const isSecure of [false, true])
        assert.equal(await outcome(isSecure, head.slice(0, at), head.slice(at)), whole, `cut at ${at}`);
  });
