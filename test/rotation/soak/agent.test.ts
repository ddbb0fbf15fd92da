import assert from "node:assert/strict";
import { it } from "../../behaviour/engines.ts";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { mappingYaml, tlsContextYaml } from "../../support/certificates.ts";
import { type Consul, consulResolverYaml, startConsul } from "../../support/consul.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../../support/gateway.ts";
import { sumOf } from "../../support/latency.ts";
import { startLoad } from "../../support/load.ts";
import { until } from "../../support/until.ts";
import { LONG, ONLY, ROTATIONS } from "./amount.ts";
import { MemoryWatch } from "./memory.ts";
import { Peer } from "./peer.ts";
import { Progress } from "./progress.ts";
import { serialOf } from "./serial.ts";
import { PATIENT } from "./site.ts";
import { Starvation } from "./starvation.ts";
import { assertGone, assertNoStall, describeLatency } from "./stalls.ts";

// What Consul's own agent issues, to many services at once: a leaf with its key is new once the root is, at some moment of the
// half minute that follows (its caChangeJitterWindow), and else at half of its life, which is an hour at least. So a round of half
// a minute is one rotation of the roots and one of leaf and key for each service. CI has two: test/rotation/connect.test.ts.

const SERVICES = 200;
const ROUNDS = Math.ceil(ROTATIONS / SERVICES / 2);
const NAME = "Consul's own agent";
/** In turn: a key of another size is another root. */
const KEY_BITS = [384, 256];
/** Consul's half minute, and what it takes to be noticed. */
const WITHIN_MS = 120_000;
/**
 * Bytes. Consul keeps a root for two lifetimes of a leaf, an hour each, so with each round all bundles have one more; so have those of
 * the peers, which are in this process.
 */
const GROWTH = { heap: 8 * 1024, rss: 64 * 1024, envoy: 64 * 1024 };

if (ROTATIONS >= LONG && ONLY?.includes(NAME) !== false)
  it(`${ROUNDS} changes of roots by ${NAME}, and of the leaves of ${SERVICES} services after each, under load`, async () => {
    const consul = await startConsul({ connections: SERVICES * 5 });
    const { TrustDomain: domain } = await consul.ask<{ TrustDomain: string }>(ROOTS);
    let [shown, anchors] = await Promise.all([leafOf(consul, "peer"), rootsOf(consul)]);
    const services = await Promise.all(
      Array.from({ length: SERVICES }, async (_, index) => ({
        name: `gateway-${index}`,
        peer: await Peer.start(shown, anchors),
        serial: "",
      })),
    );
    const routes = services.map(
      ({ name, peer }) =>
        mappingYaml(name, {
          prefix: `/${name}/`,
          service: `localhost:${peer.port}`,
          tls: name,
          ...PATIENT,
        }) +
        tlsContextYaml(name, {
          hosts: [],
          identity: { consul: { resolver: "dc1", service: name } },
          verify: { spiffe_ids: [`spiffe://${domain}/ns/default/dc/dc1/svc/peer`] },
        }),
    );
    const gateway = await startGateway({
      "all.yaml": consulResolverYaml("dc1", consul.address) + routes.join(""),
    });
    const url = (name: string): string => `http://127.0.0.1:${gateway.httpPort}/${name}/`;
    for (const service of services) {
      const { name } = service;
      await until(async () => (await fetch(url(name))).status === 200, WITHIN_MS, `an answer of ${name}`);
      service.serial = serialOf(await leafOf(consul, name));
    }
    const starvation = new Starvation();
    const loads = services.map(({ name }) => startLoad(url(name), 1, undefined, PAUSE_MS, starvation.now));
    const progress = new Progress(
      `${engineUnderTest()}, ${NAME}`,
      ROUNDS * SERVICES * 2,
      LONG,
      new MemoryWatch(GROWTH),
    );
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const known = anchors.length;
        const began = performance.now();
        for (const { peer } of services) {
          peer.allowOnly(null);
          peer.expect(null);
        }
        await consul.ask("/v1/connect/ca/configuration", "PUT", {
          Provider: "consul",
          Config: { PrivateKeyType: "ec", PrivateKeyBits: KEY_BITS[round % KEY_BITS.length] },
        });
        await until(
          async () => {
            anchors = await rootsOf(consul);
            return anchors.length > known;
          },
          WITHIN_MS,
          `root ${known + 1}`,
        );
        for (const { peer } of services) peer.present(shown, anchors);
        await until(
          async () => {
            const counts = await trustedBy(gateway);
            return counts.length === SERVICES && counts.every((count) => count === anchors.length);
          },
          WITHIN_MS,
          "the new root in every bundle",
        );
        for (let count = 0; count < SERVICES; count++) progress.rotated(performance.now() - began);
        // Whoever dials from now on is shown a leaf of the new root, where there is one.
        const renewed = renewal(consul, "peer", serialOf(shown)).then((leaf) => {
          shown = leaf;
          for (const { peer } of services) peer.present(shown, anchors);
        });
        await Promise.all(
          services.map(async (service) => {
            const { name, peer, serial } = service;
            const leaf = await renewal(consul, name, serial);
            const issued = performance.now();
            service.serial = serialOf(leaf);
            peer.expect(service.serial);
            const isAlone = (): boolean => peer.isSpokenToOnlyBy(service.serial, began);
            await until(
              isAlone,
              WITHIN_MS,
              async () =>
                `${name}: ${service.serial.slice(0, 8)} alone, there are ${peer.describe()}; ${await thoughts(gateway, name)}`,
            );
            peer.allowOnly(service.serial);
            progress.rotated(performance.now() - issued);
          }),
        );
        await renewed;
      }
      const results = await Promise.all(loads.map((load) => load.stop()));
      const failed = results.flatMap(({ failures }) => failures);
      const violations = services.flatMap(({ peer }) => peer.violations);
      const requests = results.reduce((sum, result) => sum + result.requests, 0);
      const latency = sumOf(results.map((result) => result.latency));
      const most = Math.max(...services.map(({ peer }) => peer.mostOpen));
      const stay = Math.max(...services.map(({ peer }) => peer.longestStay));
      progress.say(
        `${failed.length} of ${requests} requests failed: ${describeLatency(latency)}; ` +
          `at most ${most} connections to a peer at a time, retired ones gone within ${stay} ms; kept from running for ${starvation.total} ms, ${starvation.longest} ms at a time, which requests and handshakes are not charged with`,
      );
      assert.deepEqual(failed, []);
      assert.deepEqual(violations, []);
      assertNoStall("the requests", latency);
      assertGone(stay);
      progress.assertFlat();
    } finally {
      starvation.stop();
      await Promise.all(loads.map((load) => load.stop()));
      await gateway.stop();
      for (const { peer } of services) peer.close();
      await consul.end();
    }
  });

/** Of the load of each service, and between looks at its leaf: with as many services it is a hundred of both a second. */
const PAUSE_MS = 2000;
const ROOTS = "/v1/agent/connect/ca/roots";

async function rootsOf(consul: Consul): Promise<string[]> {
  const { Roots } = await consul.ask<{ Roots: readonly { readonly RootCert: string }[] }>(ROOTS);
  return Roots.map(({ RootCert }) => RootCert);
}

async function leafOf(consul: Consul, service: string): Promise<IssuedCertificate> {
  const leaf = await consul.ask<{ CertPEM: string; PrivateKeyPEM: string }>(
    `/v1/agent/connect/ca/leaf/${service}`,
  );
  return { certificate: leaf.CertPEM, privateKey: leaf.PrivateKeyPEM };
}

/** Its leaf, once it is another one. */
async function renewal(consul: Consul, service: string, before: string): Promise<IssuedCertificate> {
  for (;;) {
    const leaf = await leafOf(consul, service);
    if (serialOf(leaf) !== before) return leaf;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** How many roots each bundle of the gateway's holds. */
async function trustedBy(gateway: RunningGateway): Promise<number[]> {
  const { certificates } = await knownTo(gateway);
  return certificates
    .filter(({ name, kind }) => name.startsWith("consul/") && kind === "trust")
    .map(({ chain }) => chain.length);
}

/** What it holds of a service and has against it, for the message of a test that fails. */
async function thoughts(gateway: RunningGateway, service: string): Promise<string> {
  const { certificates, diagnostics } = await knownTo(gateway);
  const held = certificates
    .filter(({ name }) => name.endsWith(`/${service}`))
    .map(({ kind, generation, chain }) => [kind, generation, chain[0]?.serial]);
  return JSON.stringify({ held, diagnostics: diagnostics.slice(0, 5) });
}

interface Known {
  readonly certificates: readonly {
    readonly name: string;
    readonly kind: string;
    readonly generation: number;
    readonly chain: readonly { readonly serial: string }[];
  }[];
  readonly diagnostics: readonly unknown[];
}

async function knownTo({ adminUrl }: RunningGateway): Promise<Known> {
  return (await (await fetch(`${adminUrl}/ambassador/v0/diag/?json=true`)).json()) as Known;
}
