import assert from "node:assert/strict";
import { createAuthority } from "../../src/x509/authority.ts";
import { describe, it } from "../behaviour/engines.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startSpiffePeer } from "../support/spiffe-peer.ts";
import { until } from "../support/until.ts";
import { SOURCES, type StartSource } from "./soak/sources.ts";
import { gatewayId, peerHost, peerId } from "./soak/world.ts";

// Every way that credentials come by: the last good one serves until it ends, then the route is closed, and a new one opens it.

const LIVES_MS = 8_000;
/** Of an issuer: one every second at first, rarer and rarer; two streams of Consul's and Istio's each. */
const MOST_QUESTIONS = 24;

describe("an issuer that is gone until its certificate has ended", () => {
  it("last good, closed, open again: by every source at once", async () => {
    const names = Object.keys(SOURCES);
    const hosts = Object.fromEntries(names.map((_, index) => [peerHost(`site-${index}`), ["127.0.0.1"]]));
    const gateway = await startGateway({}, { watch: true, hosts });
    const sites = await Promise.all(
      names.map((name, index) =>
        startSite(name, `site-${index}`, SOURCES[name] as StartSource, gateway.directory),
      ),
    );
    try {
      const notAfter = new Date(Date.now() + LIVES_MS);
      await Promise.all(sites.map((site) => site.offer(notAfter)));
      await gateway.replace("routes.yaml", sites.map(({ yaml }) => yaml).join(""));
      await Promise.all(
        sites.map(async (site) => {
          const ask = (): Promise<string> => answer(gateway, site.path);
          await until(
            async () => (await ask()) === `200 ${site.id}`,
            20_000,
            () => explain(gateway, site.name),
          );
          await site.issuer?.leave();
          // What a machine that is busy did not manage in time says nothing.
          if (Date.now() < notAfter.getTime() - 500) assert.equal(await ask(), `200 ${site.id}`, site.name);
          const reached = site.reached();
          await until(() => Date.now() > notAfter.getTime() + 1_000);
          await until(
            async () => (await ask()).startsWith("503"),
            10_000,
            () => explain(gateway, site.name),
          );
          for (let count = 0; count < 3; count++) assert.match(await ask(), /^503 /, site.name);
          // Neither a handshake with what has ended nor anything in the clear.
          assert.deepEqual(site.reached(), reached, `${site.name}: its peer is left alone`);
          await until(
            async () => (await found(gateway, site.site)).includes("certificate-expired route-fails-closed"),
            10_000,
            () => explain(gateway, site.name),
          );
          const { failures } = await gateway.diag();
          const own = failures.find(({ route }) => route === `mapping/default/${site.site}`);
          assert.deepEqual(
            [own?.reason, own?.cause],
            ["route_fails_closed", "certificate-expired"],
            site.name,
          );
          if (site.issuer !== undefined)
            assert.match((await found(gateway, site.site)).join(), /issuer-unavailable/, site.name);
          const asked = site.issuer?.refused();
          if (asked !== undefined)
            assert.ok(asked > 0 && asked <= MOST_QUESTIONS, `${site.name}: asked ${asked} times`);
          await site.offer();
          await site.issuer?.comeBack();
          await until(
            async () => (await ask()) === `200 ${site.id}`,
            60_000,
            () => explain(gateway, site.name),
          );
        }),
      );
      assert.deepEqual(
        (await gateway.diag()).diagnostics.filter(({ effect }) => effect === "route-fails-closed"),
        [],
      );
    } finally {
      await gateway.stop();
      for (const site of sites) await site.stop();
    }
  });
});

async function startSite(name: string, site: string, startSource: StartSource, directory: string) {
  const authority = await createAuthority(site);
  const peer = await startSpiffePeer(
    await authority.issue({ commonName: "peer", dnsNames: [peerHost(site)], uris: [peerId(site)] }),
    [authority.certificate],
  );
  const source = await startSource(directory, site);
  const id = gatewayId(site);
  const service = `${peerHost(site)}:${peer.port}`;
  return {
    name,
    site,
    id,
    path: `/${site}/`,
    issuer: source.issuer,
    yaml:
      mappingYaml(site, { prefix: `/${site}/`, service, tls: site, timeout_ms: 10_000 }) +
      tlsContextYaml(site, source.context),
    /** Requests and connections that the peer had. */
    reached: () => [peer.seen.length, peer.connections()],
    async offer(notAfter?: Date): Promise<void> {
      const identity = await authority.issue({
        ...{ commonName: "gateway", uris: [id] },
        ...(notAfter === undefined ? {} : { notAfter }),
      });
      await source.offer({
        ...{ identity, anchors: [authority.certificate], lists: [await authority.revoke([])] },
      });
    },
    async stop(): Promise<void> {
      await source.stop();
      await peer.close();
    },
  };
}

async function answer(gateway: RunningGateway, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`);
  return `${response.status} ${await response.text()}`;
}

async function explain(gateway: RunningGateway, name: string): Promise<string> {
  return `${name}: ${JSON.stringify((await gateway.diag()).diagnostics)}`;
}

/** What stands against a site, with its effect. */
async function found(gateway: RunningGateway, site: string): Promise<string[]> {
  const { diagnostics } = await gateway.diag();
  return diagnostics
    .filter((each) => (each as typeof each & { subject: { name: string } }).subject.name === site)
    .map(({ code, effect }) => `${code} ${effect}`);
}
