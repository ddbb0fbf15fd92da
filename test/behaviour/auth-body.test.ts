import assert from "node:assert/strict";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { type AuthWorld, startAuthWorld } from "./auth-setup.ts";
import { after, describe, it } from "./engines.ts";

const later = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
const post = (length: number, ...lines: string[]): string =>
  `POST /x HTTP/1.1\r\n${["Host: localhost", "Connection: close", `Content-Length: ${length}`, ...lines].join("\r\n")}\r\n\r\n`;
const chunked =
  "POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

describe("bodies while an AuthService is asked", () => {
  const worlds: AuthWorld[] = [];
  const start = async (...parts: Parameters<typeof startAuthWorld>): Promise<AuthWorld> => {
    const world = await startAuthWorld(...parts);
    worlds.push(world);
    return world;
  };
  after(() => Promise.all(worlds.map((world) => world.stop())));

  it("a large body waits outside until the request is allowed, and arrives whole", async () => {
    const world = await start((_, response) => void setTimeout(() => response.end(), 100));
    const body = "0123456789abcdef".repeat(65_536);
    const [answer] = await world.send([post(body.length), body]);
    assert.equal(answer?.status, 200);
    assert.equal(world.upstream.seen[0]?.body, body);
    assert.equal(world.auth.seen[0]?.body, "");
    const [again] = await world.send([
      chunked,
      ...[body.slice(0, 100_000), body.slice(0, 300_000)].map(
        (piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`,
      ),
      "0\r\n\r\n",
    ]);
    assert.equal(again?.status, 200);
    assert.equal(world.upstream.seen[1]?.body.length, 400_000);
  });

  it("a refusal does not wait for the body, and ends the connection", async () => {
    const world = await start((_, response) => response.writeHead(401).end("no"));
    const received = await exchangeBytes(
      world.gateway.httpPort,
      post(1_000_000).replace("Connection: close\r\n", ""),
    );
    const [answer] = parseAnswers(received);
    assert.equal(answer?.status, 401);
    assert.match(answer?.head ?? "", /connection: close/);
  });

  it("Expect: 100-continue: the upstream's 100 comes once the request is allowed, and none to one that is refused", async () => {
    const allowed = await start();
    const answers = await allowed.send([post(2, "Expect: 100-continue"), "ok"]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [100, 200],
    );
    assert.equal(allowed.upstream.seen[0]?.body, "ok");
    assert.equal(allowed.auth.seen[0]?.headers.expect, undefined);
    const refused = await start((_, response) => response.writeHead(403).end());
    assert.deepEqual(
      (await refused.send(post(2, "Expect: 100-continue"))).map(({ status }) => status),
      [403],
    );
  });

  it("include_body: the service sees the body, whatever its framing and however it is cut", async () => {
    const world = await start(undefined, { include_body: { max_bytes: 100 } });
    await world.send([post(10), "hello", "world"]);
    await world.send([chunked, "5\r\nhe", "llo\r\n5;x=y\r\nwor", "ld\r\n0\r", "\n\r\n"]);
    assert.deepEqual(
      world.auth.seen.map(({ body, headers }) => [
        body,
        headers["content-length"],
        headers["transfer-encoding"],
      ]),
      [
        ["helloworld", "10", undefined],
        ["helloworld", "10", undefined],
      ],
    );
    assert.deepEqual(
      world.upstream.seen.map(({ body }) => body),
      ["helloworld", "helloworld"],
    );
  });

  it("include_body with a larger body: a part of it is shown, and all of it goes upstream", async () => {
    const world = await start(undefined, { include_body: { max_bytes: 1000, allow_partial: true } });
    const body = "0123456789".repeat(50_000);
    const [answer] = await world.send([post(body.length), body.slice(0, 600), body.slice(600)]);
    assert.equal(answer?.status, 200);
    assert.equal(world.auth.seen[0]?.body, body.slice(0, 1000));
    assert.equal(world.upstream.seen[0]?.body, body);
    const piece = `${(400).toString(16)}\r\n${"x".repeat(400)}\r\n`;
    await world.send([chunked, piece, piece, piece, piece, "0\r\n\r\n"]);
    assert.equal(world.auth.seen[1]?.body.length, 1000);
    assert.equal(world.upstream.seen[1]?.body.length, 1600);
  });

  it("include_body, allow_partial false: 413 beyond it, sized or chunked, and nobody is asked; at it, all is well", async () => {
    const world = await start(undefined, { include_body: { max_bytes: 10, allow_partial: false } });
    assert.equal((await world.send([post(11), "hello world"]))[0]?.status, 413);
    assert.equal((await world.send([chunked, "b\r\nhello world\r\n0\r\n\r\n"]))[0]?.status, 413);
    assert.equal((await world.failure())?.reason, "body_too_large");
    assert.deepEqual([world.auth.seen, world.upstream.seen], [[], []]);
    assert.equal((await world.send([post(10), "helloworld"]))[0]?.status, 200);
    assert.equal((await world.send([chunked, "a\r\nhelloworld\r\n", "0\r\n\r\n"]))[0]?.status, 200);
  });

  it("include_body with Expect: 100-continue: the gateway asks for the body, the upstream not once more", async () => {
    const world = await start(undefined, { include_body: {} });
    const answers = await world.send([post(2, "Expect: 100-continue"), "ok"]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [100, 200],
    );
    assert.equal(world.auth.seen[0]?.body, "ok");
    assert.equal(world.upstream.seen[0]?.body, "ok");
    assert.equal(world.upstream.seen[0]?.headers.expect, undefined);
  });

  it("a body that stalls while it is collected: 408", async () => {
    const world = await start(undefined, { include_body: {} }, { limits: { bodyTimeoutMs: 150 } });
    assert.equal((await world.send([post(10), "hel"]))[0]?.status, 408);
    assert.deepEqual(world.auth.seen, []);
  });

  it("pipelined requests wait their turn", async () => {
    const slow = await start((_, response) => void setTimeout(() => response.end(), 20));
    const one = "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const answers = await slow.send(`${one}${one.replace("/1", "/2")}${post(2)}ok`);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.deepEqual(
      slow.upstream.seen.map(({ path }) => path),
      ["/1", "/2", "/x"],
    );
  });

  it("an upgrade is asked about like any request", async () => {
    const world = await start(
      (_, response) => response.writeHead(401).end(),
      { include_body: {} },
      {
        mapping: { allow_upgrade: ["websocket"] },
      },
    );
    const text = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    const received = await exchangeBytes(world.gateway.httpPort, text, { until: /content-length/ });
    assert.match(received, /^HTTP\/1.1 401/);
    await later(1);
    assert.deepEqual(world.upstream.seen, []);
  });
});
