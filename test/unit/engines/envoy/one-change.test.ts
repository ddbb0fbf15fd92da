import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { wirePlane } from "../../../../src/cli/plane.ts";
import { createAdsServer } from "../../../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine } from "../../../../src/engines/envoy/engine.ts";
import { createRunDirectory } from "../../../../src/engines/envoy/process/run-directory.ts";
import { ClusterSchema } from "../../../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { VirtualHostSchema } from "../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../../../src/protobuf/generated/envoy/config/route/v3/route_pb.js";
import { SecretSchema } from "../../../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../../../support/certificates.ts";
import { DeltaClient } from "../../../support/delta-client.ts";
import { until } from "../../../support/until.ts";
import { WorldClient } from "../../../support/world-client.ts";

// What goes over the wire for one change in a world of some size: files as people write them, the control plane as it runs, and
// clients that note every response. What is not named here must not be sent at all.

const MAPPINGS = 200;
const HOSTS = 10;
const CONTEXTS = 20;
const PER_HOST = MAPPINGS / HOSTS;
/** Handshakes that are held to nothing, and those that must show a certificate: who does may ask for any host, who does not for none that is guarded. */
const OPEN = "https:none";
const GUARDED = "https:required:secret|default|ca";
const SCOPES = ["http", OPEN, GUARDED];

test("one Mapping changed is its host's virtual host sent, where it is served, and nothing else", async (t) => {
  const { world, delta, secrets } = await start(t);
  const client = delta();
  await client.until(() => client.held["virtual-host"].size === SCOPES.length * (HOSTS + 2), "the world");
  await client.until(() => client.held.secret.size === secrets.length, "the secrets");
  const before = worldBytes(client);
  const { from, since } = await afterwards(world, client);
  world.writeHost(3, { timeout_ms: 4321 });
  await client.until(() => from() === "2", "the change");

  const sent = since();
  assert.deepEqual(
    sent.flatMap(({ kind, names, removed }) => [...names, ...removed].map((name) => `${kind} ${name}`)),
    SCOPES.map((scope) => `virtual-host ${scope}/host-3.example`),
  );
  const bytes = sent.reduce((sum, response) => sum + response.bytes, 0);
  const [host] = client.responses.at(-1)?.resources ?? [];
  const message = fromBinary(VirtualHostSchema, host?.resource?.value ?? new Uint8Array());
  assert.deepEqual(message.domains, ["host-3.example"]);
  // A tenth of all routes; clusters, secrets and listeners come on top.
  assert.ok(bytes > 0 && bytes < before / HOSTS, `${bytes} bytes of ${before}`);

  const count = client.seen.length;
  world.writeGuarded({ timeout_ms: 4321 });
  await client.until(() => from() === "3", "the other change");
  assert.deepEqual(
    client.seen.slice(count).flatMap(({ kind, names, removed }) => [kind, ...names, ...removed]),
    ["virtual-host", `${GUARDED}/guarded.example`],
  );
});

// A listener that changes ends WebSockets and long responses of all that came through it.
test("the first Mapping that has `cors`, and the last one, change no listener", async (t) => {
  const { world, delta, secrets } = await start(t);
  const client = delta();
  await client.until(() => client.held.secret.size === secrets.length, "the secrets");
  await client.until(() => client.held["virtual-host"].size === SCOPES.length * (HOSTS + 2), "the world");
  const { from, since } = await afterwards(world, client);
  world.writeHost(3, { cors: { origins: "https://shop.example" } });
  await client.until(() => from() === "2", "it");
  world.writeHost(3, {});
  await client.until(() => from() === "3", "the end of it");
  assert.deepEqual([...new Set(since().map(({ kind }) => kind))], ["virtual-host"]);
});

test("a Mapping that goes to another service sends that cluster and its host, and takes the old cluster away", async (t) => {
  const { world, delta, secrets } = await start(t);
  const client = delta();
  await client.until(() => client.held.secret.size === secrets.length, "the secrets");
  await client.until(() => client.held["virtual-host"].size === SCOPES.length * (HOSTS + 2), "the world");
  const old = clusterOf(client, "127.0.0.1:10003");
  const { from, since } = await afterwards(world, client);
  world.writeHost(3, { service: "https://127.0.0.1:9999" });
  await client.until(() => from() === "2" && !client.held.cluster.has(old), "the change");
  assert.deepEqual(
    since().flatMap(({ kind, names, removed }) => [
      ...names.map((name) => `${kind} ${name}`),
      ...removed.map((name) => `without ${kind} ${name}`),
    ]),
    [
      `cluster ${clusterOf(client, "127.0.0.1:9999")}`,
      ...SCOPES.map((scope) => `virtual-host ${scope}/host-3.example`),
      `without cluster ${old}`,
    ],
  );
});

test("one Secret rotated is that secret sent, and a new generation of the clusters that present it", async (t) => {
  const { world, delta, secrets } = await start(t);
  const client = delta();
  await client.until(() => client.held.secret.size === secrets.length, "the secrets");
  await client.until(() => client.held["virtual-host"].size === SCOPES.length * (HOSTS + 2), "the world");
  const { since } = await afterwards(world, client);
  const first = client.responses.length;
  await world.writeSecret(7);
  await client.until(() => since().some(({ kind }) => kind === "cluster"), "the users' retirement");
  // Another change behind it: whatever else the rotation had sent would be there by then.
  world.writeHost(5, { timeout_ms: 4321 });
  await client.until(() => since().some(({ kind }) => kind === "virtual-host"), "the change behind it");

  const sent = since().filter(({ kind }) => kind !== "virtual-host");
  assert.deepEqual(
    sent.map(({ kind, names, removed }) => [kind, names.length, removed.length]),
    [
      ["secret", 1, 0],
      ["cluster", MAPPINGS / CONTEXTS, 0],
    ],
  );
  const name = "credential:secret/default/secret-7";
  assert.deepEqual(sent[0]?.names, [name]);
  const resources = client.responses.slice(first).flatMap((response) => response.resources);
  const clusters = resources.filter(({ resource }) => resource?.typeUrl.endsWith(".Cluster") === true);
  const earlier = client.responses.slice(0, first).flatMap((response) => response.resources);
  for (const cluster of clusters) {
    const { value } = cluster.resource as { value: Uint8Array };
    assert.ok(Buffer.from(value).includes(name), cluster.name);
    const [before, after] = [
      generationOf(earlier.findLast((each) => each.name === cluster.name)?.resource?.value as Uint8Array),
      generationOf(value),
    ];
    assert.equal(before?.trust, after?.trust);
    assert.notEqual(before?.credential, after?.credential);
  }
});

test("without VHDS one Mapping changed is the route configurations that serve its host, and one Secret that secret", async (t) => {
  const { world, path, secrets } = await start(t);
  const client = new WorldClient(path);
  t.after(() => client.close());
  let answered = 0;
  const names = { cluster: [], listener: [], "route-configuration": SCOPES, secret: secrets };
  const kinds = Object.keys(names) as (keyof typeof names)[];
  for (const kind of kinds) client.send(kind, { resourceNames: names[kind] });
  const answering = setInterval(() => {
    for (; answered < client.responses.length; answered++) {
      const { typeUrl, nonce, versionInfo } = client.responses[answered] as (typeof client.responses)[0];
      const kind = kinds.find((each) => client.of(each).some((response) => response.typeUrl === typeUrl));
      if (kind !== undefined)
        client.send(kind, { resourceNames: names[kind], responseNonce: nonce, versionInfo });
    }
  }, 5);
  t.after(() => clearInterval(answering));
  const isSettled = (): boolean =>
    answered === client.responses.length &&
    world.isSettled() &&
    kinds.every((kind) => client.of(kind).length > 0);
  await until(isSettled);
  const hosts = (at: number): Map<string, string> => {
    const found = new Map<string, string>();
    for (const { value } of client
      .of("route-configuration")
      .slice(0, at)
      .flatMap(({ resources }) => resources)) {
      const { name, virtualHosts } = fromBinary(RouteConfigurationSchema, value);
      for (const host of virtualHosts)
        found.set(
          `${name}/${host.domains.join()}`,
          JSON.stringify(host, (_, part) => (typeof part === "bigint" ? `${part}` : part)),
        );
    }
    return found;
  };
  let count = client.responses.length;
  const before = hosts(count);
  assert.equal(before.size, SCOPES.length * (HOSTS + 2));
  world.writeGuarded({ timeout_ms: 4321 });
  await until(() => world.revision() === "2" && isSettled());
  const changed = client.responses.slice(count).flatMap(({ resources }) => resources);
  assert.deepEqual(
    changed.map(({ typeUrl, value }) => [
      typeUrl.split(".").at(-1),
      fromBinary(RouteConfigurationSchema, value).name,
    ]),
    [["RouteConfiguration", GUARDED]],
  );
  const after = hosts(client.responses.length);
  assert.deepEqual(
    [...after].filter(([name, host]) => before.get(name) !== host).map(([name]) => name),
    [`${GUARDED}/guarded.example`],
  );

  count = client.responses.length;
  await world.writeSecret(7);
  await until(() => client.responses.length >= count + 2 && isSettled());
  const rotated = client.responses.slice(count);
  assert.deepEqual(
    rotated.map(({ typeUrl, resources }) => [typeUrl.split(".").at(-1), resources.length]),
    [
      ["Secret", 1],
      // In this protocol a response about clusters holds all there are.
      ["Cluster", MAPPINGS],
    ],
  );
  const [secret] = rotated[0]?.resources ?? [];
  assert.equal(
    fromBinary(SecretSchema, secret?.value ?? new Uint8Array()).name,
    "credential:secret/default/secret-7",
  );
  const earlier = new Set(
    (
      client.of("cluster").findLast((response) => client.responses.indexOf(response) < count)?.resources ?? []
    ).map(({ value }) => generationOf(value)?.credential),
  );
  const renewed = rotated[1]?.resources.filter(
    ({ value }) => !earlier.has(generationOf(value)?.credential ?? ""),
  );
  assert.equal(renewed?.length, MAPPINGS / CONTEXTS);
});

/** Resolves once nothing is under way; from then on everything is noted. */
async function afterwards(
  world: { readonly revision: () => string | null; readonly isSettled: () => boolean },
  client: DeltaClient,
) {
  await until(world.isSettled);
  assert.equal(world.revision(), "1");
  const count = client.seen.length;
  return { from: world.revision, since: () => client.seen.slice(count) };
}

async function start(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "credence-one-change-"));
  const { ca, server } = await certificates();
  mkdirSync(join(folder, "resources"));
  const write = (name: string, text: string): void => {
    // Renamed into place, as careful writers do.
    writeFileSync(join(folder, "new"), text);
    renameSync(join(folder, "new"), join(folder, "resources", name));
  };
  const writeHost = (host: number, first: Record<string, unknown> = {}): void => {
    const mappings = Array.from({ length: PER_HOST }, (_, at) => {
      const index = host + at * HOSTS;
      return mappingYaml(`mapping-${index}`, {
        host: `host-${host}.example`,
        prefix: `/service-${index}/`,
        service: `127.0.0.1:${10_000 + index}`,
        tls: `context-${index % CONTEXTS}`,
        ...(at === 0 ? first : {}),
      });
    });
    write(`host-${host}.yaml`, mappings.join(""));
  };
  const writeGuarded = (more: Record<string, unknown> = {}): void => {
    const first = {
      host: "guarded.example",
      prefix: "/",
      service: "127.0.0.1:10000",
      tls: "context-0",
      ...more,
    };
    write("guarded.yaml", mappingYaml("guarded", first));
  };
  const writeSecret = async (index: number): Promise<void> => {
    const { certificate, privateKey } = await ca.issue({ commonName: `client ${index}`, usage: "client" });
    write(`secret-${index}.yaml`, secretYaml(`secret-${index}`, { certificate, privateKey }));
  };
  for (let host = 0; host < HOSTS; host++) writeHost(host);
  writeGuarded();
  for (let index = 0; index < CONTEXTS; index++) await writeSecret(index);
  const contexts = Array.from({ length: CONTEXTS }, (_, index) =>
    tlsContextYaml(`context-${index}`, { hosts: [], secret: `secret-${index}`, ca_secret: "ca" }),
  );
  // Any name is served over TLS and without; one more asks for a certificate, and so has a scope of its own.
  const served = tlsContextYaml("guarded", {
    hosts: ["guarded.example"],
    secret: "server",
    ca_secret: "ca",
    cert_required: true,
  });
  const any = {
    apiVersion: "getambassador.io/v2",
    kind: "Host",
    metadata: { name: "any" },
    spec: {
      hostname: "*",
      acmeProvider: { authority: "none" },
      tlsSecret: { name: "server" },
      requestPolicy: { insecure: { action: "Route" } },
    },
  };
  write("gateway.yaml", `${contexts.join("")}${served}---\n${JSON.stringify(any)}\n`);
  write("ca.yaml", secretYaml("ca", { ca: ca.certificate }));
  write("server.yaml", secretYaml("server", server));

  const directory = createRunDirectory();
  const [logger, clock, path] = [createLogger("silent"), systemClock, directory.xdsSocket];
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "all", identity: "test" }) });
  await ads.listen({ path });
  const plane = wirePlane({
    paths: [join(folder, "resources")],
    ambassadorId: "default",
    compile: {
      engine: "envoy",
      address: "127.0.0.1",
      httpPort: 8080,
      httpsPort: 8443,
    },
    incompleteStart: "not-ready",
    logger,
    clock,
    engine: ({ store }) => createEnvoyEngine({ ads, group: "all", credentials: store, logger, clock }),
  });
  const unwatch = plane.source.watch(() => void plane.control.reload("noticed"));
  const clients: DeltaClient[] = [];
  t.after(async () => {
    unwatch();
    plane.control.stop();
    for (const client of clients) await client.close();
    await plane.engine.stop();
    plane.close();
    await ads.close();
    directory.remove();
    rmSync(folder, { recursive: true });
  });
  await plane.control.reload();
  assert.deepEqual(
    plane.control.state.diagnostics.filter(({ severity }) => severity === "error"),
    [],
  );
  const secrets = [
    "trust:secret/default/ca",
    "credential:secret/default/server",
    ...Array.from({ length: CONTEXTS }, (_, index) => `credential:secret/default/secret-${index}`),
  ];
  const delta = (): DeltaClient => {
    const client = new DeltaClient({ path, node: "one" });
    clients.push(client);
    client.subscribeAll("cluster");
    client.subscribeAll("listener");
    client.subscribe("route-configuration", SCOPES);
    client.subscribeAll("virtual-host");
    client.subscribe("secret", secrets);
    return client;
  };
  const revision = (): string | null => plane.engine.fleet[0]?.revision ?? null;
  const isSettled = (): boolean => plane.engine.fleet[0]?.isSettled === true;
  return { world: { writeHost, writeGuarded, writeSecret, revision, isSettled }, delta, path, secrets };
}

function worldBytes({ seen }: DeltaClient): number {
  return seen.reduce((sum, { bytes }) => sum + bytes, 0);
}

function clusterOf({ held }: DeltaClient, address: string): string {
  const found = [...held.cluster.keys()].find((name) => name.startsWith(address));
  assert.ok(found, address);
  return found;
}

/** Which state of its secrets a cluster was made for. */
function generationOf(cluster: Uint8Array): Record<string, string> | undefined {
  const { metadata } = fromBinary(ClusterSchema, cluster);
  return metadata?.filterMetadata.credence?.generation as Record<string, string> | undefined;
}
