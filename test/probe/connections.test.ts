import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { ecKeys, type KeyPair, rsaKeys } from "../support/issuing.ts";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import {
  CLIENT,
  chainOf,
  CLIENTS,
  type Gateway,
  probePort,
  rawPeer,
  SERVER,
  serverOf,
  shows,
  tlsPeer,
} from "./peers.ts";

interface Case {
  readonly what: string;
  readonly peer: (t: TestContext) => Promise<number>;
  readonly gateway?: Gateway;
  readonly reason: HandshakeReason;
  readonly step: string;
  readonly says: RegExp;
}

/** Alert records in the clear (RFC 8446 §6). */
const alert = (code: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, code]);

/**
 * Passes on to a TLS 1.2 server, of which a client sees all until it answers the server's first flight: then `then`
 * happens instead.
 */
async function cutAfterFirstFlight(
  t: TestContext,
  options: Parameters<typeof tlsPeer>[1],
  then: (client: Socket) => void,
): Promise<number> {
  const behind = await tlsPeer(t, { ...shows(SERVER), maxVersion: "TLSv1.2", ...options });
  return rawPeer(t, (client) => {
    const server = connect(behind, "127.0.0.1");
    server.on("error", () => {});
    server.on("data", (bytes) => client.write(bytes));
    let hellos = 0;
    client.on("data", (bytes) => {
      hellos += 1;
      if (hellos === 1) server.write(bytes);
      else then(client);
    });
    client.on("close", () => server.destroy());
  });
}

/** Takes a connection only behind a PROXY header that begins so; what follows goes to a TLS server. */
async function behindProxyHeader(
  t: TestContext,
  length: (bytes: Buffer) => number,
  otherwise: (socket: Socket) => void,
): Promise<number> {
  const behind = await tlsPeer(t, shows(SERVER));
  return rawPeer(t, (client) => {
    client.once("data", (bytes: Buffer) => {
      const header = length(bytes);
      if (header === 0) {
        otherwise(client);
        return;
      }
      const server = connect(behind, "127.0.0.1");
      server.on("error", () => {});
      server.write(bytes.subarray(header));
      client.pipe(server).pipe(client);
    });
  });
}

const VERSION_1 = (bytes: Buffer): number =>
  bytes.subarray(0, 6).toString() === "PROXY " ? bytes.indexOf("\n") + 1 : 0;
const VERSION_2 = (bytes: Buffer): number =>
  bytes.subarray(0, 12).toString("hex") === "0d0a0d0a000d0a515549540a" ? 16 : 0;

/** A TLS 1.2 server of which the first flight comes with another certificate in place of its own. */
async function withAnotherCertificate(t: TestContext, keys: () => KeyPair): Promise<number> {
  const shown = serverOf({ keys: keys() }).certificate.raw;
  const behind = await tlsPeer(t, { ...shows(serverOf({ keys: keys() })), maxVersion: "TLSv1.2" });
  return rawPeer(t, (client) => {
    const server = connect(behind, "127.0.0.1");
    server.on("error", () => {});
    server.once("data", (flight: Buffer) => {
      client.write(replaceCertificate(flight, shown));
      server.on("data", (bytes) => client.write(bytes));
    });
    client.on("data", (bytes) => server.write(bytes));
    client.on("close", () => server.destroy());
  });
}

/** Takes the flight's records apart, and writes the Certificate message (11) anew. */
function replaceCertificate(flight: Buffer, der: Buffer): Buffer {
  const length = (size: number): Buffer => Buffer.from([size >> 16, (size >> 8) & 255, size & 255]);
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= flight.length; ) {
    const end = at + 5 + flight.readUInt16BE(at + 3);
    let body = flight.subarray(at + 5, end);
    if (body[0] === 11) {
      const list = Buffer.concat([length(der.length), der]);
      const message = Buffer.concat([length(list.length), list]);
      const rest = body.subarray(4 + body.readUIntBE(1, 3));
      body = Buffer.concat([Buffer.from([11]), length(message.length), message, rest]);
    }
    parts.push(Buffer.from([22, 3, 3, body.length >> 8, body.length & 255]), body);
    at = end;
  }
  return Buffer.concat(parts);
}

const CASES: readonly Case[] = [
  ...[ecKeys, rsaKeys].map((keys) => ({
    what: `shows a certificate whose key it does not have (${keys.name})`,
    peer: (t: TestContext) => withAnotherCertificate(t, () => keys()),
    reason: "key_mismatch" as const,
    step: "checks",
    says: /signs with a key that is not that of the certificate/,
  })),
  {
    what: "answers in cleartext",
    peer: (t) =>
      rawPeer(t, (socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")),
      ),
    reason: "plaintext_peer",
    step: "hello",
    says: /it answered in cleartext: "HTTP\/1\.1 400 Bad Request"/,
  },
  {
    what: "speaks first, and no TLS",
    peer: (t) => rawPeer(t, (socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n")),
    reason: "plaintext_peer",
    step: "hello",
    says: /"SSH-2\.0-OpenSSH_9\.9"/,
  },
  {
    what: "speaks TLS where cleartext is expected",
    peer: (t) => tlsPeer(t, shows(SERVER)),
    gateway: { cleartext: true },
    reason: "tls_peer",
    step: "hello",
    says: /answers a ClientHello with TLS/,
  },
  {
    what: "speaks TLS and refuses every ClientHello, where cleartext is expected",
    peer: (t) => rawPeer(t, (socket) => socket.once("data", () => socket.end(alert(40)))),
    gateway: { cleartext: true },
    reason: "tls_peer",
    step: "hello",
    says: /answers a ClientHello with TLS/,
  },
  {
    what: "wants a PROXY header of version 1, and closes without one",
    peer: (t) => behindProxyHeader(t, VERSION_1, (socket) => socket.end()),
    reason: "proxy_header_expected",
    step: "hello",
    says: /closed the connection after our ClientHello; with a PROXY header \(version 1\) before it, the peer answers/,
  },
  {
    what: "wants a PROXY header of version 2, and resets without one",
    peer: (t) => behindProxyHeader(t, VERSION_2, (socket) => socket.resetAndDestroy()),
    reason: "proxy_header_expected",
    step: "hello",
    says: /with a PROXY header \(version 2\) before it, the peer answers/,
  },
  {
    what: "does not know the server name and says so",
    peer: (t) => rawPeer(t, (socket) => socket.once("data", () => socket.end(alert(112)))),
    reason: "sni_unknown",
    step: "hello",
    says: /alert "unrecognized name" \(112\)/,
  },
  {
    what: "refuses everything with one alert",
    peer: (t) => rawPeer(t, (socket) => socket.once("data", () => socket.end(alert(40)))),
    reason: "no_agreement",
    step: "hello",
    says: /after our ClientHello with the alert "handshake failure" \(40\)/,
  },
  {
    what: "resets the connection at the ClientHello",
    peer: (t) => rawPeer(t, (socket) => socket.once("data", () => socket.resetAndDestroy())),
    reason: "handshake_reset",
    step: "hello",
    says: /reset the connection after our ClientHello/,
  },
  {
    what: "closes the connection at the ClientHello",
    peer: (t) => rawPeer(t, (socket) => socket.once("data", () => socket.end())),
    reason: "handshake_closed",
    step: "hello",
    says: /closed the connection after our ClientHello/,
  },
  {
    what: "says nothing",
    peer: (t) => rawPeer(t, (socket) => socket.resume()),
    gateway: { timeoutMs: 200 },
    reason: "handshake_timeout",
    step: "hello",
    says: /nothing more came after our ClientHello within 200 ms/,
  },
  {
    what: "resets the connection after its certificate",
    peer: (t) => cutAfterFirstFlight(t, {}, (client) => client.resetAndDestroy()),
    reason: "handshake_reset",
    step: "checks",
    says: /reset the connection after its certificate/,
  },
  {
    what: "says nothing after its certificate",
    peer: (t) => cutAfterFirstFlight(t, {}, () => {}),
    gateway: { timeoutMs: 300 },
    reason: "handshake_timeout",
    step: "checks",
    says: /nothing more came after its certificate/,
  },
  {
    what: "refuses our certificate with an alert",
    peer: (t) =>
      cutAfterFirstFlight(t, { requestCert: true, ca: chainOf(CLIENTS) }, (client) => client.end(alert(48))),
    gateway: { client: [CLIENT] },
    reason: "client_certificate_refused",
    step: "accepted",
    says: /after our side of the handshake with the alert "unknown ca" \(48\)/,
  },
];

for (const { what, peer, gateway, reason, step, says } of CASES)
  test(`a peer that ${what}: ${reason}`, async (t) => {
    const { verdict, steps } = await probePort(await peer(t), gateway);
    assert.equal(verdict.reason, reason, verdict.says);
    assert.equal(verdict.step, step);
    assert.match(verdict.says, says);
    assert.doesNotMatch(verdict.remedy ?? "", /credence probe/, "that is what runs");
    const last = steps.at(-1);
    assert.equal(last?.step, step);
    assert.equal(last?.status, "failed");
  });

test("a name without an address", async () => {
  const { verdict, steps } = await probePort(443, { host: "nobody.invalid" });
  assert.equal(verdict.reason, "dns_failure");
  assert.equal(verdict.step, "dns");
  assert.match(verdict.says, /no address for nobody\.invalid/);
  assert.equal(steps.at(-1)?.step, "dns");
  assert.match(verdict.change[0]?.place ?? "", /mapping\/default\/quote#service/);
});

test("a port that nothing listens on", async (t) => {
  const port = await rawPeer(t, () => {});
  // One that was free a moment ago, next to ours.
  const { verdict } = await probePort(1, {});
  assert.ok(port > 1);
  assert.equal(verdict.reason, "connect_refused");
  assert.equal(verdict.step, "connect");
  assert.match(verdict.says, /127\.0\.0\.1 port 1 refuses connections/);
});

test("an address that does not answer", async (t) => {
  const { verdict } = await probePort(await deafPort(t), { timeoutMs: 200 });
  assert.equal(verdict.reason, "connect_timeout");
  assert.equal(verdict.step, "connect");
  assert.match(verdict.says, /no answer from 127\.0\.0\.1 port \d+/);
});

/** A port whose queue is full and is never emptied: the kernel drops whoever knocks. */
async function deafPort(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ["-e", DEAF], { stdio: ["ignore", "pipe", "inherit"] });
  const filling: Socket[] = [];
  t.after(() => {
    for (const socket of filling) socket.destroy();
    child.kill("SIGKILL");
  });
  const [line] = await once(child.stdout, "data");
  const port = Number(String(line));
  for (let index = 0; index < 3; index++) filling.push(connect(port, "127.0.0.1").on("error", () => {}));
  await once(filling[0] as Socket, "connect");
  return port;
}

const DEAF = `
  const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

test("a service in cleartext that is one", async (t) => {
  const port = await rawPeer(t, (socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  );
  const { verdict } = await probePort(port, { cleartext: true });
  assert.ok(verdict.good, verdict.says);
});
