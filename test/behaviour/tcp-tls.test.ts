import assert from "node:assert/strict";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { certificates, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import {
  type ByteServer,
  converse,
  converseOn,
  echoing,
  eventually,
  startByteServer,
  tcpMappingYaml,
} from "../support/tcp.ts";
import { after, before, it } from "./engines.ts";

let cleartext: ByteServer;
let tls: ByteServer;
let mtls: ByteServer;
/** Names of their own for the gateway's certificates, and Secrets with the CA and the gateway's client certificate. */
let secrets: string;

before(async () => {
  [cleartext, tls, mtls] = (await Promise.all(
    (["cleartext", "tls", "mtls"] as const).map((kind) => startByteServer(kind, echoing(kind))),
  )) as [ByteServer, ByteServer, ByteServer];
  const { ca, client, stranger } = await certificates();
  const [one, two] = await Promise.all(
    ["one", "two"].map((name) =>
      ca.issue({ commonName: name, dnsNames: [`${name}.example`], usage: "server" }),
    ),
  );
  secrets =
    secretYaml("one", { ...one }) +
    secretYaml("two", { ...two }) +
    secretYaml("client", { ...client }) +
    secretYaml("ca", { ca: ca.certificate }) +
    secretYaml("stranger", { ca: stranger.certificate });
});
after(() => {
  for (const server of [cleartext, tls, mtls]) server.close();
});

async function withGateway(
  yaml: string,
  run: (gateway: RunningGateway) => Promise<void>,
  options: Parameters<typeof startGateway>[1] = {},
): Promise<void> {
  for (const { clients } of [cleartext, tls, mtls]) clients.length = 0;
  const gateway = await startGateway({ "tcp.yaml": yaml, "secrets.yaml": secrets }, options);
  try {
    await run(gateway);
  } finally {
    await gateway.stop();
  }
}

const local = (server: ByteServer): string => `localhost:${server.port}`;
const ONE = tlsContextYaml("one", { hosts: ["one.example"], secret: "one" });
const TWO = tlsContextYaml("two", {
  hosts: ["two.example"],
  secret: "two",
  ca_secret: "ca",
  cert_required: true,
});
const UPSTREAM = tlsContextYaml("upstream", { secret: "client", ca_secret: "ca" });

/** Every way in which a client may come to `port`, and what it gets. */
async function seen(port: number, options: ConnectionOptions): Promise<string> {
  const { subject, received } = await converse(port, ["!"], options);
  return `${subject ?? "-"} ${received}`;
}

it("each host of a port is terminated with the certificate, and the check of clients, of the context that has it", async () => {
  const port = await freePort();
  const { client, stranger } = await certificates();
  const strange = await stranger.issue({ commonName: "client", usage: "client" });
  const identity = { cert: client.certificate, key: client.privateKey };
  const other = await startByteServer("cleartext", echoing("other"));
  const yaml =
    ONE +
    TWO +
    tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("two", { port, host: "two.example", service: local(other) });
  await withGateway(yaml, async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      assert.equal(await seen(port, { servername: "one.example", maxVersion }), "CN=one cleartext:!");
      assert.equal(
        await seen(port, { servername: "two.example", maxVersion, ...identity }),
        "CN=two other:!",
      );
      const known = other.clients.length;
      for (const refused of [{}, { cert: strange.certificate, key: strange.privateKey }]) {
        const { received } = await converse(port, ["!"], {
          servername: "two.example",
          maxVersion,
          ...refused,
        });
        assert.equal(received, "");
      }
      assert.equal(other.clients.length, known, "nothing of theirs went on");
    }
    assert.equal(await seen(port, { servername: "ONE.example" }), "CN=one cleartext:!");
    for (const servername of ["three.example", ""]) assert.equal(await seen(port, { servername }), "- ");
    assert.equal((await converse(port, ["plain text"])).received, "");
  });
  other.close();
});

it("a session of TLS 1.2 that is resumed without saying its name comes to the chain it was made for", async () => {
  const port = await freePort();
  const yaml =
    ONE +
    tlsContextYaml("two", { hosts: ["two.example"], secret: "two" }) +
    tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("two", { port, host: "two.example", service: local(tls), tls: true });
  await withGateway(yaml, async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      let session: Buffer | undefined;
      for (const isResumed of [false, true]) {
        const socket = connectTls({
          port,
          host: "127.0.0.1",
          servername: "two.example",
          rejectUnauthorized: false,
          maxVersion,
          ...(session === undefined ? {} : { session }),
        });
        let wasResumed = false;
        socket.on("secureConnect", () => {
          wasResumed = socket.isSessionReused();
        });
        socket.on("session", (ticket: Buffer) => {
          session = ticket;
        });
        socket.end("!");
        let received = "";
        for await (const chunk of socket) received += String(chunk);
        assert.equal(received, "tls:!");
        assert.equal(wasResumed, isResumed, maxVersion);
      }
    }
  });
});

it("a host that no context has is passed on unopened: the client speaks TLS with the service itself", async () => {
  const port = await freePort();
  const { client } = await certificates();
  const yaml =
    ONE +
    tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("passed", { port, host: "passed.example", service: local(mtls) }) +
    tcpMappingYaml("wild", { port, host: "*.wild.example", service: local(tls) });
  await withGateway(yaml, async () => {
    const identity = { cert: client.certificate, key: client.privateKey };
    assert.equal(await seen(port, { servername: "passed.example", ...identity }), "CN=server mtls:!");
    assert.deepEqual(mtls.clients.at(-1), { subject: "CN=gateway", serverName: "passed.example" });
    assert.equal(await seen(port, { servername: "a.b.wild.example" }), "CN=server tls:!");
    assert.equal(await seen(port, { servername: "one.example" }), "CN=one cleartext:!");
    for (const servername of ["wild.example", "else.example", ""])
      assert.equal(await seen(port, { servername }), "- ", servername);
  });
});

it("a TCPMapping without host takes what no name is for, TLS or not; `*` takes any name and none", async () => {
  const [port, star] = [await freePort(), await freePort()];
  const yaml =
    ONE +
    tlsContextYaml("star", { hosts: ["*"], secret: "two" }) +
    tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("rest", { port, service: local(tls) }) +
    tcpMappingYaml("star", { port: star, host: "*", service: local(cleartext) });
  await withGateway(yaml, async () => {
    assert.equal(await seen(port, { servername: "one.example" }), "CN=one cleartext:!");
    assert.equal(await seen(port, { servername: "else.example" }), "CN=server tls:!");
    assert.equal(await seen(port, { servername: "" }), "CN=server tls:!");
    tls.clients.length = 0;
    const sockets = tls.sockets.length;
    await converse(port, ["plain text"]);
    assert.equal(tls.sockets.length, sockets, "the service refuses what is no TLS, and it was its to refuse");
    for (const servername of ["else.example", ""])
      assert.equal(await seen(star, { servername }), "CN=two cleartext:!");
    assert.equal((await converse(star, ["plain text"])).received, "");
  });
});

it("bytes in cleartext, and those of a terminated host, go on with mutual TLS where `tls` says so", async () => {
  const [plain, host] = [await freePort(), await freePort()];
  const yaml =
    ONE +
    UPSTREAM +
    tcpMappingYaml("plain", { port: plain, service: local(mtls), tls: "upstream" }) +
    tcpMappingYaml("host", { port: host, host: "one.example", service: local(mtls), tls: "upstream" });
  await withGateway(yaml, async (gateway) => {
    assert.equal((await converse(plain, ["!"])).received, "mtls:!");
    assert.equal(await seen(host, { servername: "one.example" }), "CN=one mtls:!");
    assert.deepEqual(mtls.clients, [
      { subject: "CN=gateway", serverName: "localhost" },
      { subject: "CN=gateway", serverName: "localhost" },
    ]);
    assert.deepEqual((await gateway.diag()).failures, []);
  });
});

it("without a context that is usable nothing is taken and nothing goes out, and the rest is served", async () => {
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const [missing, unusable, stranger, untold, host, good] = ports as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const service = local(mtls);
  const yaml =
    ONE +
    UPSTREAM +
    tlsContextYaml("unusable", { secret: "gone" }) +
    tlsContextYaml("stranger", { secret: "client", ca_secret: "stranger" }) +
    tlsContextYaml("gone", { hosts: ["gone.example"], secret: "gone" }) +
    tcpMappingYaml("missing", { port: missing, service, tls: "no-such" }) +
    tcpMappingYaml("unusable", { port: unusable, service: local(cleartext), tls: "unusable" }) +
    tcpMappingYaml("stranger", { port: stranger, service, tls: "stranger" }) +
    tcpMappingYaml("untold", { port: untold, host: "nobodys.example", service, tls: "upstream" }) +
    tcpMappingYaml("gone", { port: host, host: "gone.example", service: local(cleartext) }) +
    tcpMappingYaml("rest", { port: host, service: local(cleartext) }) +
    tcpMappingYaml("good", { port: good, service, tls: "upstream" });
  await withGateway(yaml, async (gateway) => {
    for (const port of [missing, unusable, stranger])
      assert.equal((await converse(port, ["a secret"])).received, "", `port ${port}`);
    assert.equal(await seen(untold, { servername: "nobodys.example" }), "- ");
    assert.equal(await seen(host, { servername: "gone.example" }), "- ");
    assert.deepEqual([...mtls.clients, ...cleartext.clients], []);
    const { failures, diagnostics } = await gateway.diag();
    assert.deepEqual(failures.map(({ route, reason }) => `${route} ${reason}`).sort(), [
      "tcpmapping/default/missing route_fails_closed",
      "tcpmapping/default/stranger upstream_certificate_untrusted",
      "tcpmapping/default/untold route_fails_closed",
      "tcpmapping/default/unusable route_fails_closed",
    ]);
    const missed = failures.find(({ route }) => route === "tcpmapping/default/missing");
    assert.equal(missed?.cause, "tls-context-missing");
    assert.ok(diagnostics.filter(({ effect }) => effect === "connections-refused").length >= 4);
    assert.equal((await converse(good, ["!"])).received, "mtls:!");
    const rest = await converseOn(host, "plain text");
    rest.socket.end();
    await eventually(() => rest.closed() === "", "an orderly end");
    assert.equal(rest.received(), "cleartext:plain text");
  });
});

it("cleartext on a port that reads names may be one byte, and ended with it", async (skip) => {
  const port = await freePort();
  const yaml =
    ONE +
    tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("rest", { port, service: local(cleartext) });
  await withGateway(yaml, async () => {
    const { received, error } = await converse(port, ["!"]);
    if (skip === null) assert.equal(received, "cleartext:!");
    else assert.equal(error, "ECONNRESET");
  });
});

it("a certificate that goes away closes its host at once, and one that comes back opens it", async () => {
  const port = await freePort();
  const yaml = ONE + tcpMappingYaml("one", { port, host: "one.example", service: local(cleartext) });
  await withGateway(yaml, async (gateway) => {
    assert.equal(await seen(port, { servername: "one.example" }), "CN=one cleartext:!");
    await gateway.replace("secrets.yaml", "");
    assert.equal(await seen(port, { servername: "one.example" }), "- ");
    await gateway.replace("secrets.yaml", secrets);
    assert.equal(await seen(port, { servername: "one.example" }), "CN=one cleartext:!");
  });
});

it("after a rotation new connections show the new certificate, and old ones end when their grace is over", async (skip) => {
  const port = await freePort();
  const { ca } = await certificates();
  const yaml = UPSTREAM + tcpMappingYaml("m", { port, service: local(mtls), tls: "upstream" });
  await withGateway(
    yaml,
    async (gateway) => {
      const old = await converseOn(port);
      assert.equal(mtls.clients.at(-1)?.subject, "CN=gateway");
      const next = await ca.issue({ commonName: "next", usage: "client" });
      await gateway.replace(
        "secrets.yaml",
        secretYaml("client", { ...next }) + secretYaml("ca", { ca: ca.certificate }),
      );
      const rotated = performance.now();
      // An Envoy has it a moment after the store.
      do assert.equal((await converse(port, ["!"])).received, "mtls:!");
      while (
        skip !== null &&
        mtls.clients.at(-1)?.subject !== "CN=next" &&
        performance.now() < rotated + 20_000
      );
      assert.equal(mtls.clients.at(-1)?.subject, "CN=next");
      old.socket.write(" still here");
      await eventually(() => old.received() === "mtls:hello still here", "the old connection's echo");
      if (skip !== null) {
        await eventually(() => old.closed() === "", "the end of its grace", 15_000);
        assert.ok(performance.now() - rotated > 1000);
        return;
      }
      await eventually(() => old.closed() !== null, "its end");
      assert.equal(old.closed(), "ECONNRESET");
      assert.ok(performance.now() - rotated > 300);
      assert.equal((await gateway.diag()).failures[0]?.cause, "its credential is retired");
    },
    { limits: { retireMs: skip === null ? 500 : 3000 } },
  );
});

it("a client may offer any protocol (ALPN), and is offered none, unless the context names some", async (skip) => {
  const [any, named] = [await freePort(), await freePort()];
  const yaml =
    ONE +
    tlsContextYaml("two", { hosts: ["two.example"], secret: "two", alpn_protocols: "postgresql" }) +
    tcpMappingYaml("one", { port: any, host: "one.example", service: local(cleartext) }) +
    tcpMappingYaml("two", { port: named, host: "two.example", service: local(cleartext) });
  await withGateway(yaml, async () => {
    const agreed = (port: number, servername: string, protocols: string[]): Promise<string | false | null> =>
      new Promise((resolve, reject) => {
        const options = {
          port,
          host: "127.0.0.1",
          servername,
          ALPNProtocols: protocols,
          rejectUnauthorized: false,
        };
        const socket = connectTls(options, () => {
          resolve(socket.alpnProtocol);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    assert.equal(await agreed(any, "one.example", ["postgresql", "http/1.1"]), false);
    assert.equal(await agreed(named, "two.example", ["postgresql"]), "postgresql");
    const others = agreed(named, "two.example", ["http/1.1"]);
    if (skip === null) await assert.rejects(others);
    else assert.equal(await others, false);
  });
});
