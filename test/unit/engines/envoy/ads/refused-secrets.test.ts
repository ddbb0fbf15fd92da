import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Snapshot, snapshotOf } from "../../../../../src/engines/envoy/ads/snapshot.ts";
import { resource, TYPE_URLS, type XdsResource } from "../../../../../src/engines/envoy/resources.ts";
import { pack } from "../../../../../src/protobuf/any.ts";
import { FilterChainSchema } from "../../../../../src/protobuf/generated/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../../../../../src/protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { SecretSchema } from "../../../../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { DownstreamTlsContextSchema } from "../../../../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { DeltaDiscoveryResponse } from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { startAdsSocket } from "../../../../support/ads-socket.ts";
import { DeltaClient } from "../../../../support/delta-client.ts";

const REFUSAL = "Failed to load private key from <inline>";
const KEYS = ["credential:a", "credential:b"];
const TRUST = "trust:ca";

/** What Envoy 1.40 was seen to make of secrets: it keeps the ones that it refuses, and does not look twice at the same bytes. */
class EnvoyLike {
  /** Names to bytes, and chains of the listener to whether they end TLS. */
  readonly secrets = new Map<string, string>();
  readonly chains = new Map<string, boolean>();

  judge = ({ typeUrl, resources }: DeltaDiscoveryResponse): string | undefined => {
    for (const { name, resource: any } of resources) {
      const bytes = any?.value ?? new Uint8Array();
      if (typeUrl === TYPE_URLS.secret) {
        const text = Buffer.from(bytes).toString("latin1");
        if (this.secrets.get(name) === text) continue;
        this.secrets.set(name, text);
        // A context is made once its key and its CA are there, and anew where either comes; a chain that is closed has none.
        const made = KEYS.filter(
          (key) => (name === key || name === TRUST) && this.chains.get(chainOf(key)) !== false,
        );
        if (this.secrets.has(TRUST) && made.some((key) => this.isBad(key))) return REFUSAL;
      }
      if (typeUrl === TYPE_URLS.listener) {
        const { filterChains } = fromBinary(ListenerSchema, bytes);
        const ended = filterChains.filter(({ transportSocket }) => transportSocket !== undefined);
        if (ended.some((chain) => this.isBad(`credential:${chain.name}`))) return REFUSAL;
        this.chains.clear();
        for (const chain of filterChains) this.chains.set(chain.name, ended.includes(chain));
      }
    }
    return undefined;
  };

  isBad(secret: string): boolean {
    return this.secrets.get(secret)?.includes("bad") === true;
  }
}

const chainOf = (key: string): string => key.replace("credential:", "");

/** `keys`: text of each chain. */
function world(keys: Readonly<Record<string, string>>, port: number, previous?: Snapshot): Snapshot {
  const inline = (text: string) => ({
    specifier: { case: "inlineBytes" as const, value: new TextEncoder().encode(text) },
  });
  const secret = (name: string, type: object, from: string): XdsResource =>
    resource("secret", name, create(SecretSchema, { name, type } as never), [from]);
  const listener = create(ListenerSchema, {
    name: "https",
    statPrefix: String(port),
    filterChains: Object.keys(keys).map((name) =>
      create(FilterChainSchema, {
        name,
        filterChainMatch: { serverNames: [`${name}.example`] },
        transportSocket: {
          name: "envoy.transport_sockets.tls",
          configType: {
            case: "typedConfig",
            value: pack(
              DownstreamTlsContextSchema,
              create(DownstreamTlsContextSchema, {
                commonTlsContext: {
                  tlsCertificateSdsSecretConfigs: [{ name: `credential:${name}` }],
                  validationContextType: { case: "validationContextSdsSecretConfig", value: { name: TRUST } },
                },
              }),
            ),
          },
        },
      }),
    ),
  });
  return snapshotOf(
    [
      secret(TRUST, { case: "validationContext", value: { trustedCa: inline("ca") } }, "secret/default/ca"),
      ...Object.entries(keys).map(([name, text]) =>
        secret(
          `credential:${name}`,
          { case: "tlsCertificate", value: { certificateChain: inline(text), privateKey: inline("key") } },
          `secret/default/${name}`,
        ),
      ),
      resource("listener", "https", listener, ["tlscontext/default/a", "tlscontext/default/b"]),
    ],
    previous,
  );
}

async function start(t: TestContext) {
  const { ads, path, clients } = await startAdsSocket(t);
  const envoy = new EnvoyLike();
  const client = new DeltaClient({ path, node: "node-1", judge: envoy.judge });
  clients.push(client);
  let snapshot: Snapshot | undefined;
  let number = 0;
  return {
    envoy,
    client,
    publish(keys: Readonly<Record<string, string>>): void {
      snapshot = world(keys, ++number, snapshot);
      ads.publish("all", snapshot, String(number));
    },
    refused: (): string[] =>
      (ads.clients[0]?.nacks ?? []).map(({ name, instead, from }) => `${name} ${instead} ${from.join()}`),
  };
}

for (const names of [
  ["credential:a", "credential:b", TRUST],
  [TRUST, "credential:a", "credential:b"],
  ["credential:b", TRUST, "credential:a"],
])
  test(`a key that is refused from the start, asked for in the order ${names.join(", ")}: it alone is blamed, and what presents it is closed`, async (t) => {
    const { envoy, client, publish, refused } = await start(t);
    publish({ a: "bad", b: "good" });
    client.subscribe("secret", names);
    client.subscribeAll("listener");
    await client.until(() => envoy.chains.get("b") === true && envoy.chains.get("a") === false);
    await client.until(() => refused().join() === "credential:a nothing secret/default/a");
    await client.until(() => envoy.secrets.get("credential:b")?.includes("good") === true);
    publish({ a: "mended", b: "good" });
    await client.until(() => envoy.chains.get("a") === true && refused().length === 0);
    await client.until(() => envoy.secrets.get("credential:a")?.includes("mended") === true);
  });

test("a key that came before its CA is blamed for what is said of the CA", async (t) => {
  const { envoy, client, publish, refused } = await start(t);
  publish({ a: "bad", b: "good" });
  client.subscribe("secret", ["credential:a", "credential:b"]);
  await client.until(() => client.held.secret.size === 2);
  client.subscribe("secret", [TRUST]);
  client.subscribeAll("listener");
  await client.until(() => envoy.chains.get("b") === true && envoy.chains.get("a") === false);
  await client.until(() => refused().join() === "credential:a nothing secret/default/a");
});

test("a key that is refused after a good one: the good one is sent again, and a listener that changes is taken", async (t) => {
  const { envoy, client, publish, refused } = await start(t);
  publish({ a: "first", b: "good" });
  client.subscribe("secret", ["credential:a", "credential:b", TRUST]);
  client.subscribeAll("listener");
  await client.until(() => envoy.chains.size === 2 && refused().length === 0);
  publish({ a: "bad", b: "better" });
  await client.until(() => client.seen.some(({ kind, accepted }) => kind === "secret" && !accepted));
  await client.until(() => refused().join() === "credential:a last-good secret/default/a");
  await client.until(() => envoy.secrets.get("credential:a")?.includes("first") === true);
  await client.until(() => envoy.secrets.get("credential:b")?.includes("better") === true);
  assert.deepEqual([...envoy.chains.values()], [true, true]);
  const before = client.seen.filter(({ kind }) => kind === "listener").length;
  publish({ a: "bad", b: "better" });
  const listeners = (): boolean[] =>
    client.seen.filter(({ kind }) => kind === "listener").map(({ accepted }) => accepted);
  await client.until(() => listeners().length > before && listeners().at(-1) === true);
  assert.deepEqual([...envoy.chains.values()], [true, true]);
});
