import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { mappingYaml, moduleYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers, type RawAnswer } from "../support/raw-client.ts";
import { startRawUpstream, startUpstream, type Upstream } from "../support/upstream.ts";
import { get, startAuthWorld } from "./auth-setup.ts";
import { after, before, describe, it } from "./engines.ts";

const override = (status: number, body: Record<string, unknown>): unknown => ({
  on_status_code: status,
  body,
});

describe("error_response_overrides", () => {
  let upstream: Upstream;
  let gateway: RunningGateway;
  before(async () => {
    upstream = await startUpstream("cleartext", (request, response) => {
      const status = Number(/\d{3}/.exec(request.url ?? "")?.[0] ?? 200);
      const body = request.url?.includes("large") === true ? "s".repeat(3_000_000) : "stack trace";
      const chunked = request.url?.includes("chunked") === true;
      response.writeHead(status, {
        "x-from": "up<stream",
        etag: "x",
        "content-encoding": "br",
        "x-kept": "k",
        ...(chunked ? {} : { "content-length": body.length }),
      });
      if (chunked) response.write("stack ");
      response.end(body);
    });
    const service = `localhost:${upstream.port}`;
    gateway = await startGateway({
      "all.yaml":
        moduleYaml({
          error_response_overrides: [
            override(404, { text_format: "nothing at %REQ(:path)%: %RESPONSE_CODE% ü 100%%" }),
            override(403, { text_format: "module" }),
          ],
        }) +
        mappingYaml("own", {
          prefix: "/own/",
          service,
          rewrite: "",
          error_response_overrides: [
            override(503, {
              json_format: { code: "%RESPONSE_CODE%", who: "%REQ(user-agent)%", of: "%RESP(x-from)%", n: 1 },
            }),
            override(500, {
              content_type: "text/html",
              text_format: "<p>%REQ(x-a?user-agent):8% %RESP(x-from)% %REQ(no)% %PROTOCOL%</p>",
            }),
          ],
        }) +
        mappingYaml("other", { prefix: "/other/", service, rewrite: "" }) +
        mappingYaml("closed", {
          prefix: "/closed/",
          service,
          tls: "none",
          error_response_overrides: [override(503, { text_format: "closed %RESP(server)%" })],
        }) +
        mappingYaml("bypass", {
          prefix: "/bypass/",
          service,
          rewrite: "",
          bypass_error_response_overrides: true,
        }),
    });
  });
  after(() => Promise.all([gateway.stop(), upstream.close()]));
  const send = async (text: string): Promise<RawAnswer[]> =>
    parseAnswers(await exchangeBytes(gateway.httpPort, text));
  const one = async (text: string): Promise<RawAnswer> => (await send(text))[0] as RawAnswer;

  it("replaces an upstream's body, and whatever told of it", async () => {
    const answer = await one(get("/own/503", 'User-Agent: a"b\\'));
    assert.equal(answer.status, 503);
    assert.deepEqual(JSON.parse(answer.body), { code: 503, who: 'a"b\\', of: "up<stream", n: 1 });
    assert.match(answer.head, /content-type: application\/json/);
    assert.match(answer.head, /x-kept: k/);
    assert.doesNotMatch(answer.head, /etag|content-encoding|transfer-encoding|x-credence-failure-id/i);
    assert.equal(answer.head.match(/content-length/gi)?.length, 1);
  });

  it("puts nothing of the request into a page as markup, cuts, and writes - for what is not there", async () => {
    const answer = await one(get("/own/500-chunked", "User-Agent: <script>alert"));
    assert.equal(answer.body, "<p>&#60;script&#62; up&#60;stream - HTTP/1.1</p>");
  });

  it("leaves other statuses, and Mappings that bypass them, as they are", async () => {
    assert.equal((await one(get("/own/502"))).body, "stack trace");
    assert.equal((await one(get("/own/200"))).body, "stack trace");
    assert.equal((await one(get("/bypass/404"))).body, "stack trace");
    assert.equal((await one(get("/other/404"))).body, "nothing at /other/404: 404 Ã¼ 100%");
    assert.equal((await one(get("/own/404"))).body, "stack trace", "a Mapping's own are all that it has");
  });

  it("HEAD gets the head alone", async () => {
    const text = get("/other/404").replace("GET", "HEAD");
    const received = await exchangeBytes(gateway.httpPort, text);
    assert.match(received, /^HTTP\/1.1 404(?:(?!\r\n\r\n).)*content-length: 3\d\r\n(?:[^\r\n]+\r\n)*\r\n$/s);
  });

  it("the upstream's body is read to its end, so connections go on; a long one is cut off", async () => {
    const again = "GET /other/404-chunked HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const before = upstream.connections;
    const answers = await send(again + again + again + get("/other/404-large"));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 404, 404, 404],
    );
    for (const { body } of answers) assert.match(body, /^nothing at /);
    assert.ok(upstream.connections - before <= 1, "one connection served them all");
    assert.equal((await one(get("/other/200"))).body, "stack trace");
  });

  it("an upstream that stalls or dies in a body that is replaced costs the client nothing", async (skip) => {
    const head = "HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\nabc";
    for (const end of [() => {}, (socket: Socket) => void setTimeout(() => socket.resetAndDestroy(), 20)]) {
      const peer = await startRawUpstream((socket) => {
        socket.on("data", () => {
          socket.write(head);
          end(socket);
        });
      });
      const overrides = { error_response_overrides: [override(404, { text_format: "short" })] };
      const mapping = { prefix: "/", service: `localhost:${peer.port}`, timeout_ms: 100, ...overrides };
      const stalled = await startGateway({ "m.yaml": mappingYaml("m", mapping) });
      try {
        const text = `GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n${get("/2")}`;
        const answers = parseAnswers(await exchangeBytes(stalled.httpPort, text));
        assert.deepEqual(
          answers.map(({ status, body }) => [status, body]),
          Array(skip === null ? 2 : 1).fill([404, "short"]),
        );
        assert.equal((await stalled.diag()).failures.length, skip === null ? 0 : 1);
      } finally {
        await stalled.stop();
        peer.close();
      }
    }
  });

  it("our own failures: with the id beside the body", async () => {
    const closed = await one(get("/closed/x"));
    assert.equal(closed.body, "closed -");
    const id = /x-credence-failure-id: ([0-9a-f-]{36})/.exec(closed.head)?.[1];
    assert.equal((await gateway.diag()).failures[0]?.id, id);
    const nowhere = await one(get("/nowhere"));
    assert.match(nowhere.body, /^nothing at \/nowhere: 404/);
    assert.match(nowhere.head, /content-type: text\/plain/);
  });

  it("an AuthService's refusals as well", async () => {
    const world = await startAuthWorld(
      (_, response) =>
        response.writeHead(401, { "content-type": "a/b", "www-authenticate": "Basic" }).end("inner"),
      {},
      { mapping: { error_response_overrides: [override(401, { text_format: "sign in" })] } },
    );
    const [answer] = await world.send(get("/"));
    assert.deepEqual([answer?.status, answer?.body], [401, "sign in"]);
    assert.match(answer?.head ?? "", /www-authenticate: Basic.*content-type: text\/plain/s);
    await world.stop();
  });
});
