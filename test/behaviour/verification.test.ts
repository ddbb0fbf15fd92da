import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect, createServer, type Server } from "node:tls";
import { readRevocationLists } from "../../src/x509/revocation.ts";
import { type PeerVerdict, verifyPeer } from "../../src/x509/verify.ts";
import { type FlawedPeer, flawedPeers } from "../support/flawed-peers.ts";
import { verificationLines } from "../support/verification-doc.ts";
import { startVerifyingEnvoy, type VerifyingEnvoy } from "../support/verifying-envoy.ts";

const { sound, flawed } = flawedPeers();
const LINES = verificationLines();

/** Each peer as a real server, to real clients: what docs/verification.md says of OpenSSL and of Envoy is what they do. */
describe("peers with one flaw", () => {
  const servers: Server[] = [];
  let envoy: VerifyingEnvoy;

  before(async () => {
    for (const peer of [...flawed, sound]) servers.push(await serve(peer));
    envoy = await startVerifyingEnvoy(
      [...flawed, sound].map((peer, index) => ({ ...peer, port: portOf(servers[index]) })),
    );
  });
  after(async () => {
    await envoy?.stop();
    for (const server of servers) server.close();
  });

  it("one without is accepted by all", async () => {
    assert.equal(judge(sound).ok, true);
    assert.equal(await isTakenByOpenSsl(sound, portOf(servers.at(-1))), true);
    assert.equal(await envoy.ask(flawed.length), "hello");
  });

  for (const [index, peer] of flawed.entries()) {
    it(`${peer.check}: ${peer.fault}`, async () => {
      const line = LINES[index];
      const verdict = judge(peer);
      assert.ok(!verdict.ok);
      assert.equal(verdict.fault, peer.fault, verdict.message);
      const byOpenSsl = await isTakenByOpenSsl(peer, portOf(servers[index]));
      assert.equal(line?.node, byOpenSsl ? "Credence alone" : "OpenSSL too");
      const byEnvoy = await envoy.ask(index);
      assert.equal(line?.envoy, byEnvoy === "hello" ? "no" : "yes");
    });
  }
});

function judge({ chain, anchors, lists, rules }: Omit<FlawedPeer, "fault">): PeerVerdict {
  const [leaf, ...sent] = chain.map(({ certificate }) => certificate);
  assert.ok(leaf);
  const read = readRevocationLists(lists ?? []);
  assert.ok(read.ok);
  const expected = {
    usage: "server" as const,
    name: "peer.example",
    anchors: anchors.map(({ certificate }) => certificate),
    ...rules,
    ...(lists === undefined ? {} : { revocation: { lists: read.lists, policy: "require" as const } }),
  };
  return verifyPeer(leaf, sent, expected, Date.now());
}

async function serve({ chain }: Pick<FlawedPeer, "chain">): Promise<Server> {
  const server = createServer({
    cert: chain.map(({ pem }) => pem).join(""),
    key: chain[0]?.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    // What the peer itself thinks of its certificate does not matter.
    ciphers: "DEFAULT@SECLEVEL=0",
  });
  server.on("secureConnection", (socket) => socket.on("error", () => {}).end("hello"));
  server.on("tlsClientError", () => {});
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

function portOf(server: Server | undefined): number {
  assert.ok(server);
  return (server.address() as AddressInfo).port;
}

/** Node's defaults, its check of the name included unless other identities are asked for. */
async function isTakenByOpenSsl(
  { anchors, lists, rules }: Omit<FlawedPeer, "fault">,
  port: number,
): Promise<boolean> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "peer.example",
    ca: anchors.map(({ pem }) => pem),
    ...(lists === undefined ? {} : { crl: [...lists] }),
    ...(rules?.identities === undefined ? {} : { checkServerIdentity: () => undefined }),
  });
  try {
    await once(socket, "secureConnect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
