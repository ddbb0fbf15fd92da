import assert from "node:assert/strict";
import { it } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../../../support/certificates.ts";
import { startGateway } from "../../../support/gateway.ts";

interface Handshake {
  readonly ok: boolean;
  readonly resumed: boolean;
  readonly version: string | null;
  readonly session: Buffer | null;
}

/** One handshake and a request on it; what came of it. */
function handshake(port: number, options: ConnectionOptions): Promise<Handshake> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    let session: Buffer | null = null;
    let answered = false;
    let resumed = false;
    let version: string | null = null;
    const finish = (ok: boolean): void => {
      socket.destroy();
      resolve({ ok, resumed, version, session });
    };
    socket.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    socket.on("secureConnect", () => {
      // Asked here and not later: Node 26 crashes when a socket whose handshake failed is asked.
      resumed = socket.isSessionReused();
      version = socket.getProtocol();
      socket.write(`GET / HTTP/1.1\r\nHost: ${options.servername}\r\n\r\n`);
    });
    socket.on("data", (chunk: Buffer) => {
      answered ||= chunk.toString("latin1").startsWith("HTTP/1.1");
      setTimeout(() => finish(answered), 20);
    });
    socket.on("error", () => finish(false));
    socket.on("close", () => finish(answered));
  });
}

it("sessions resume under the policy they were made under, and die with its trust bundle", async () => {
  const { ca, stranger, server, client } = await certificates();
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("a", { hosts: ["a.example"], secret: "server" }) +
      tlsContextYaml("m", { hosts: ["m.example"], secret: "server", ca_secret: "ca", cert_required: true }) +
      secretYaml("server", server),
    "ca.yaml": secretYaml("ca", { certificate: ca.certificate }),
  });
  try {
    const port = gateway.httpsPort;
    const open = { servername: "a.example" };
    const mutual = { servername: "m.example", cert: client.certificate, key: client.privateKey };
    const first = await handshake(port, open);
    assert.deepEqual([first.ok, first.resumed, first.version], [true, false, "TLSv1.3"]);
    assert.equal((await handshake(port, { ...open, session: first.session ?? undefined })).resumed, true);

    const held = await handshake(port, mutual);
    assert.equal(held.ok, true);
    assert.equal((await handshake(port, { ...mutual, session: held.session ?? undefined })).resumed, true);
    // A session made without a certificate opens no host that wants one.
    const crossed = await handshake(port, { servername: "m.example", session: first.session ?? undefined });
    assert.deepEqual([crossed.ok, crossed.resumed], [false, false]);

    await gateway.replace("ca.yaml", secretYaml("ca", { certificate: stranger.certificate }));
    const after = await handshake(port, { ...mutual, session: held.session ?? undefined });
    assert.equal(after.ok, false, "the CA that vouched for the session is gone");
    assert.equal((await handshake(port, { ...open, session: first.session ?? undefined })).resumed, true);
  } finally {
    await gateway.stop();
  }
});

it("a certificate that rotates is shown at once, and ends no session", async () => {
  const { ca, server } = await certificates();
  const next = await ca.issue({ commonName: "next server", dnsNames: ["a.example"], usage: "server" });
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("a", { hosts: ["a.example"], secret: "server" }),
    "secret.yaml": secretYaml("server", server),
  });
  try {
    const subject = (): Promise<string | undefined> =>
      new Promise((resolve) => {
        const socket = connect(
          { port: gateway.httpsPort, host: "127.0.0.1", servername: "a.example", rejectUnauthorized: false },
          () => {
            resolve(socket.getPeerX509Certificate()?.subject);
            socket.destroy();
          },
        );
      });
    assert.equal(await subject(), "CN=server");
    const { session } = await handshake(gateway.httpsPort, { servername: "a.example" });
    await gateway.replace("secret.yaml", secretYaml("server", next));
    assert.equal(await subject(), "CN=next server");
    assert.equal(
      (await handshake(gateway.httpsPort, { servername: "a.example", session: session ?? undefined }))
        .resumed,
      true,
    );
  } finally {
    await gateway.stop();
  }
});

it("a certificate that rotates is shown at once to a client without SNI, too", async () => {
  const { ca, server } = await certificates();
  const next = await ca.issue({ commonName: "next server", dnsNames: ["a.example"], usage: "server" });
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("a", { hosts: ["*"], secret: "server" }),
    "secret.yaml": secretYaml("server", server),
  });
  try {
    const subject = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        const socket = connect(
          { port: gateway.httpsPort, host: "127.0.0.1", rejectUnauthorized: false },
          () => {
            resolve(socket.getPeerX509Certificate()?.subject);
            socket.destroy();
          },
        ).on("error", reject);
      });
    assert.equal(await subject(), "CN=server");
    await gateway.replace("secret.yaml", secretYaml("server", next));
    assert.equal(await subject(), "CN=next server");
  } finally {
    await gateway.stop();
  }
});

it("TLS 1.2 is the least, and X25519MLKEM768 is agreed on where the client has it", async () => {
  const { server } = await certificates();
  const gateway = await startGateway({
    "a.yaml":
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("a", { hosts: ["*"], secret: "server" }) +
      secretYaml("server", server),
  });
  try {
    const base = { servername: "a.example" };
    assert.equal((await handshake(gateway.httpsPort, { ...base, maxVersion: "TLSv1.2" })).version, "TLSv1.2");
    const old = {
      minVersion: "TLSv1" as const,
      maxVersion: "TLSv1.1" as const,
      ciphers: "DEFAULT:@SECLEVEL=0",
    };
    assert.equal((await handshake(gateway.httpsPort, { ...base, ...old })).ok, false);
    // A client with that group alone succeeds only if the gateway takes it.
    assert.equal((await handshake(gateway.httpsPort, { ...base, ecdhCurve: "X25519MLKEM768" })).ok, true);
  } finally {
    await gateway.stop();
  }
});
