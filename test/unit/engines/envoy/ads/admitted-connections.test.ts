import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { createAdsServer } from "../../../../../src/engines/envoy/ads/server.ts";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { type Authority, createAuthority } from "../../../../../src/x509/authority.ts";
import { DeltaClient } from "../../../../support/delta-client.ts";
import { worldOf } from "../../../../support/xds-world.ts";

/** A server that lets in who was issued by one of two CAs. */
async function start(t: TestContext) {
  const [ours, theirs] = await Promise.all([createAuthority("ours"), createAuthority("theirs")]);
  const server = await ours.issue({ commonName: "xds", dnsNames: ["localhost"], usage: "server" });
  const ads = createAdsServer({
    clock: systemClock,
    logger: createLogger("silent"),
    authorize: () => ({ group: "all", identity: "test" }),
  });
  const tls = (...cas: Authority[]) => ({
    certificateChain: server.certificate,
    privateKey: server.privateKey,
    clientCas: cas.map(({ certificate }) => certificate),
  });
  const listening = await ads.listen({ address: "127.0.0.1", port: 0, tls: tls(ours, theirs) });
  ads.publish("all", worldOf({ clusters: { shop: 9000 } }), "1");
  const clients: DeltaClient[] = [];
  t.after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await ads.close();
  });
  const client = async (authority: Authority, notAfter?: Date): Promise<DeltaClient> => {
    const { certificate, privateKey } = await authority.issue({
      commonName: "edge",
      usage: "client",
      ...(notAfter === undefined ? {} : { notAfter }),
    });
    const made = new DeltaClient({
      node: "edge",
      connect: () =>
        connect({
          host: "127.0.0.1",
          port: listening.port as number,
          servername: "localhost",
          ALPNProtocols: ["h2"],
          ca: ours.certificate,
          cert: certificate,
          key: privateKey,
        }),
    });
    clients.push(made);
    made.subscribeAll("cluster");
    return made;
  };
  const hasWorld = (made: DeltaClient): Promise<void> => made.until(() => made.held.cluster.has("shop"));
  return { ads, listening, tls, ours, theirs, client, hasWorld };
}

test("a CA that is withdrawn ends the streams it let in, and lets in nobody more; the others come again", async (t) => {
  const { ads, listening, tls, ours, theirs, client, hasWorld } = await start(t);
  const [mine, foreign] = [await client(ours), await client(theirs)];
  await Promise.all([hasWorld(mine), hasWorld(foreign)]);
  // The same CAs: nothing is to be checked anew.
  listening.renew(tls(ours, theirs));
  ads.publish("all", worldOf({ clusters: { shop: 9000, cart: 9001 } }), "2");
  await foreign.until(() => foreign.held.cluster.has("cart"));
  assert.equal(foreign.failure, null);

  listening.renew(tls(ours));
  await Promise.all([mine.ended, foreign.ended]);
  ads.publish("all", worldOf({ clusters: { shop: 9000, secret: 9002 } }), "3");
  const again = await client(ours);
  await again.until(() => again.held.cluster.has("secret"));
  const refused = await client(theirs);
  await refused.ended;
  assert.equal(refused.held.cluster.size, 0);
  assert.equal(foreign.held.cluster.has("secret"), false);
});

test("a stream ends with the certificate that it was opened with", async (t) => {
  const { ads, ours, client, hasWorld } = await start(t);
  const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000);
  const brief = await client(ours, notAfter);
  await hasWorld(brief);
  await brief.ended;
  assert.ok(Date.now() >= notAfter.getTime(), "not before");
  assert.ok(Date.now() < notAfter.getTime() + 20_000, "and soon after");
  while (ads.clients.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});
