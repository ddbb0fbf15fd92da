import assert from "node:assert/strict";
import { connect } from "node:net";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { type AuthWorld, authServiceYaml, get, startAuthWorld } from "./auth-setup.ts";
import { after, describe, it } from "./engines.ts";

describe("AuthService over HTTP", () => {
  const worlds: AuthWorld[] = [];
  const closers: { close(): void }[] = [];
  const start = async (...parts: Parameters<typeof startAuthWorld>): Promise<AuthWorld> => {
    const world = await startAuthWorld(...parts);
    worlds.push(world);
    return world;
  };
  after(async () => {
    for (const peer of closers) peer.close();
    await Promise.all(worlds.map((world) => world.stop()));
  });

  it("is asked with method, path, host and the headers that it may see, and no body", async () => {
    const { send, auth, upstream } = await start(undefined, {
      path_prefix: "/extauth",
      allowed_request_headers: ["X-Tenant"],
      add_auth_headers: { "X-Asked-By": "edge", "user-agent": "credence" },
    });
    const [answer] = await send(
      "PUT /a/../b?c=d HTTP/1.1\r\nHost: LocalHost\r\nConnection: close\r\nAuthorization: Bearer x\r\nCookie: s=1\r\n" +
        "X-Tenant: t\r\nX-Other: o\r\nUser-Agent: client\r\nX-Asked-By: client\r\nX-Envoy-A: 1\r\nContent-Length: 2\r\n\r\nhi",
    );
    assert.equal(answer?.status, 200);
    const [asked] = auth.seen;
    assert.equal(asked?.method, "PUT");
    assert.equal(asked?.path, "/extauth/b?c=d");
    const {
      connection: _,
      // Envoy says these of its own accord, and 1.14 did.
      "x-envoy-internal": _internal,
      "x-envoy-expected-rq-timeout-ms": _timeout,
      ...headers
    } = asked?.headers ?? {};
    assert.deepEqual(
      { ...headers, host: headers.host?.toLowerCase() },
      {
        host: "localhost",
        authorization: "Bearer x",
        cookie: "s=1",
        "x-tenant": "t",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-asked-by": "edge",
        "user-agent": "credence",
        "content-length": "0",
      },
    );
    assert.equal(upstream.seen[0]?.body, "hi");
    assert.equal(upstream.seen[0]?.headers["user-agent"], "client");
    assert.equal(upstream.seen[0]?.headers.authorization, "Bearer x", "the client's own credential goes on");
  });

  it("alone says what its answers bring: a client's trailer adds nothing to that", async () => {
    const { send, upstream } = await start(
      (_, response) => response.writeHead(200, { "x-user-id": "alice" }).end(),
      { allowed_authorization_headers: ["X-User-Id"] },
    );
    const chunked = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n` +
      "2\r\nhi\r\n0\r\nX-User-ID: mallory\r\nX-Checksum: 7\r\n\r\n";
    for (const path of ["/a", "/past/a"]) {
      const [answer] = await send(chunked(path));
      assert.equal(answer?.status, 200);
    }
    const [asked, past] = upstream.seen;
    assert.equal(asked?.headers["x-user-id"], "alice");
    assert.deepEqual({ ...asked?.trailers }, { "x-checksum": "7" });
    assert.equal(past?.trailers["x-user-id"], "mallory", "nobody is asked there, and nothing said");
  });

  it("is not asked about what its host does not let in anyhow", async () => {
    const { server } = await certificates();
    const host = (name: string, action: string): string =>
      `---\n${JSON.stringify({
        apiVersion: "getambassador.io/v2",
        kind: "Host",
        metadata: { name },
        spec: {
          hostname: `${name}.example`,
          tlsSecret: { name: "server" },
          requestPolicy: { insecure: { action } },
        },
      })}\n`;
    const { send, auth } = await start(
      (_, response) => response.writeHead(401).end(),
      {},
      {
        yaml: host("moved", "Redirect") + host("closed", "Reject") + secretYaml("server", server),
      },
    );
    for (const [name, status] of [
      ["moved.example", 301],
      ["closed.example", 400],
    ] as const) {
      const [answer] = await send(get("/a").replace("localhost", name));
      assert.equal(answer?.status, status, name);
    }
    assert.deepEqual(auth.seen, [], "what came in cleartext is not shown to anybody");
  });

  it("200: its headers replace the client's, the route's changes come after, and what it alone may say is removed", async () => {
    const { send, upstream } = await start(
      (request, response) => {
        if (request.url === "/known") response.setHeader("X-User-Id", "alice").setHeader("X-Role", "r");
        response.setHeader("Authorization", "Bearer inner").setHeader("X-Not-Listed", "n").end("ignored");
      },
      { allowed_authorization_headers: ["X-User-Id", "X-Role"] },
      { mapping: { add_request_headers: { "x-role": { value: "route", append: false } } } },
    );
    const evil = ["X-User-Id: evil", "x-user-id: evil", "X-Not-Listed: mine", "Authorization: Bearer outer"];
    await send(get("/known", ...evil));
    await send(get("/unknown", ...evil));
    const [known, unknown] = upstream.seen;
    assert.equal(known?.headers["x-user-id"], "alice");
    assert.equal(known?.headers.authorization, "Bearer inner");
    assert.equal(known?.headers["x-role"], "route");
    assert.equal(known?.headers["x-not-listed"], "mine");
    assert.equal(unknown?.headers["x-user-id"], undefined, "a client cannot say who it is");
  });

  it("any other status goes to the client with its body and the headers that may go on", async () => {
    const { send, upstream } = await start(
      (request, response) => {
        if (request.url === "/login")
          response.writeHead(302, { Location: "/in", "Set-Cookie": ["a=1", "b=2"] }).end();
        else
          response
            .writeHead(401, {
              "Content-Type": "text/html",
              "WWW-Authenticate": "Basic",
              "X-Why": "w",
              "X-Hidden": "h",
            })
            .end("<p>no</p>");
      },
      { allowed_authorization_headers: ["x-why"] },
    );
    const [redirect] = await send(get("/login"));
    assert.equal(redirect?.status, 302);
    assert.match(
      redirect?.head ?? "",
      /location: \/in\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n.*content-length: 0/s,
    );
    const two = `GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n${get("/b")}`;
    const answers = await send(two);
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      [
        [401, "<p>no</p>"],
        [401, "<p>no</p>"],
      ],
      "the connection goes on after a refusal",
    );
    const [refused] = answers;
    assert.match(refused?.head ?? "", /content-type: text\/html/);
    assert.match(refused?.head ?? "", /www-authenticate: Basic/);
    assert.match(refused?.head ?? "", /x-why: w/);
    assert.doesNotMatch(refused?.head ?? "", /x-hidden/i);
    const [head] = await send(get("/c").replace("GET", "HEAD"));
    assert.equal(head?.status, 401);
    assert.deepEqual(upstream.seen, []);
  });

  it("a chunked refusal arrives whole", async () => {
    const { send } = await start((_, response) => {
      response.writeHead(403);
      response.write("one ");
      setTimeout(() => response.end("two"), 10);
    });
    const [answer] = await send(get("/"));
    assert.deepEqual([answer?.status, answer?.body], [403, "one two"]);
  });

  it("5xx, nobody there, nonsense and silence: 403, or what status_on_error says; never the upstream", async () => {
    const silent = await startRawUpstream(() => {});
    const nonsense = await startRawUpstream((socket) =>
      socket.once("data", () => socket.end("HTTP/9 what\r\n\r\n")),
    );
    closers.push(silent, nonsense);
    const gone = await startRawUpstream(() => {});
    gone.close();
    const cases: [Record<string, unknown>, number][] = [
      [{}, 403],
      [{ auth_service: `localhost:${gone.port}` }, 403],
      [{ auth_service: `localhost:${nonsense.port}`, status_on_error: { code: 503 } }, 503],
      [{ auth_service: `localhost:${silent.port}`, timeout_ms: 100, status_on_error: { code: 504 } }, 504],
    ];
    for (const [spec, status] of cases) {
      const world = await start((_, response) => response.writeHead(500).end(), spec);
      const [answer] = await world.send(get("/"));
      assert.equal(answer?.status, status, JSON.stringify(spec));
      assert.equal((await world.failure())?.reason, "authorization_unavailable");
      assert.match((await world.failure())?.cause ?? "", /^authservice\/default\/auth: upstream_/);
      assert.deepEqual(world.upstream.seen, []);
    }
    const open = await start(undefined, {
      auth_service: `localhost:${gone.port}`,
      failure_mode_allow: true,
      allowed_authorization_headers: ["x-user-id"],
    });
    const [answer] = await open.send(get("/", "X-User-Id: evil"));
    assert.equal(answer?.status, 200);
    assert.equal(open.upstream.seen[0]?.headers["x-user-id"], undefined);
  });

  it("neither bypass_auth, redirects nor preflights are asked about", async () => {
    const world = await start(
      (_, response) => response.writeHead(401).end(),
      {},
      {
        mapping: { cors: { origins: "http://a.example", methods: "GET" } },
        yaml: mappingYaml("old", { prefix: "/old/", service: "new.example", host_redirect: true }),
      },
    );
    const statuses = async (text: string): Promise<number[]> =>
      (await world.send(text)).map(({ status }) => status);
    assert.deepEqual(await statuses(get("/past/x")), [200]);
    assert.deepEqual(await statuses(get("/old/x")), [301]);
    const lines = ["Origin: http://a.example", "Access-Control-Request-Method: GET"];
    assert.deepEqual(await statuses(get("/x", ...lines).replace("GET", "OPTIONS")), [200]);
    assert.deepEqual(world.auth.seen, []);
    assert.deepEqual(await statuses(get("/x", lines[0] as string)), [401]);
  });

  it("its connections are pooled, and one that closes as it is used is replaced", async () => {
    let served = 0;
    const world = await start((_, response) => {
      served++;
      if (served === 3) response.socket?.destroy();
      else response.end();
    });
    for (let round = 0; round < 4; round++) {
      const [answer] = await world.send(
        `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      );
      assert.equal(answer?.status, 200, `round ${round}`);
    }
    assert.equal(world.auth.connections, 2);
  });

  it("a client that goes away cancels the question, and one that is cancelled leaves nothing behind", async () => {
    let closed = 0;
    const world = await start((request) => request.socket.on("close", () => closed++));
    const socket = connect(world.gateway.httpPort, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (world.auth.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    socket.resetAndDestroy();
    while (closed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await world.failure())?.reason, "client_disconnected");
    assert.deepEqual(world.upstream.seen, []);
  });

  it("asks over mutual TLS as its context says", async () => {
    const { ca, client, stranger } = await certificates();
    const context = (authority: string): string =>
      tlsContextYaml("auth-tls", { secret: "auth-certs" }) +
      secretYaml("auth-certs", {
        certificate: client.certificate,
        privateKey: client.privateKey,
        ca: authority,
      });
    const good = await start(undefined, { tls: "auth-tls" }, { kind: "mtls", yaml: context(ca.certificate) });
    assert.equal((await good.send(get("/")))[0]?.status, 200);
    assert.match(good.auth.seen[0]?.clientSubject ?? "", /CN=gateway/);
    const wrong = await start(
      undefined,
      { tls: "auth-tls" },
      { kind: "mtls", yaml: context(stranger.certificate) },
    );
    assert.equal((await wrong.send(get("/")))[0]?.status, 403);
    assert.match((await wrong.failure())?.cause ?? "", /upstream_certificate_untrusted/);
    assert.deepEqual(wrong.upstream.seen, []);
    const none = await start(undefined, { tls: "auth-tls", failure_mode_allow: true }, { kind: "mtls" });
    assert.equal(
      (await none.send(get("/")))[0]?.status,
      503,
      "no context: closed, whatever failure_mode_allow says",
    );
    assert.equal((await none.send(get("/past/")))[0]?.status, 200);
    assert.deepEqual(none.auth.seen, []);
  });

  it("services that agree share the questions; those that differ close what they cover", async () => {
    const second = await start();
    const shared = await start(
      undefined,
      {},
      {
        yaml: authServiceYaml("second", { auth_service: `localhost:${second.auth.port}` }),
      },
    );
    for (let round = 0; round < 40; round++) assert.equal((await shared.send(get("/")))[0]?.status, 200);
    assert.ok(shared.auth.seen.length > 5 && second.auth.seen.length > 5, "both were asked");
    const apart = await start(
      undefined,
      {},
      {
        yaml: authServiceYaml("second", { auth_service: "localhost:1", path_prefix: "/x" }),
      },
    );
    assert.equal((await apart.send(get("/")))[0]?.status, 503);
    assert.equal((await apart.send(get("/past/")))[0]?.status, 200);
  });

  it("gRPC that is not spoken: what would be asked about is closed, the rest is served", async () => {
    const spec = { proto: "grpc", protocol_version: "v2" };
    const world = await start(undefined, spec);
    assert.equal((await world.send(get("/")))[0]?.status, 503);
    assert.equal((await world.send(get("/past/")))[0]?.status, 200);
    const open = await start(undefined, spec, { allowUnenforced: true });
    assert.equal((await open.send(get("/")))[0]?.status, 200, "--allow-unenforced serves it without");
  });
});
