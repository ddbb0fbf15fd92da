// Simulated Envoys for bench/fleet.ts, in a process of their own: `node fleet-clients.ts COUNT PORT SECRETS CA CERTIFICATE KEY`. Says
// on the channel to its parent what each client got, and when (CLOCK_MONOTONIC, which all processes share).
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import type { XdsKind } from "../src/engines/envoy/resources.ts";
import { DeltaClient } from "../test/support/delta-client.ts";

/** One response at one client. */
export interface Receipt {
  readonly client: number;
  readonly kind: XdsKind;
  readonly names: readonly string[];
  readonly removed: number;
  readonly bytes: number;
  /** Milliseconds. */
  readonly at: number;
}

export type ClientsMessage =
  | { readonly holds: Readonly<Record<string, number>>; readonly client: number }
  | { readonly receipt: Receipt };

const [count, port, secrets, ca, cert, key] = process.argv.slice(2) as string[] as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const identity = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
/** What Envoy would find in clusters and listeners; bench/fleet.ts gives the Secrets these names. */
const secretNames = [
  "trust:secret/default/ca",
  ...Array.from({ length: Number(secrets) }, (_, index) => `credential:secret/default/secret-${index}`),
];
const clients: DeltaClient[] = [];
for (let index = 0; index < Number(count); index++) {
  const client = new DeltaClient({
    node: `simulated-${index}`,
    connect: () =>
      connect({
        host: "127.0.0.1",
        port: Number(port),
        servername: "localhost",
        ALPNProtocols: ["h2"],
        ...identity,
      }),
  });
  let reported = 0;
  client.onSeen = () => {
    for (const seen of client.seen.slice(reported)) {
      const { kind, names, removed, bytes } = seen;
      const receipt = {
        client: index,
        kind,
        names: names.slice(0, 50),
        removed: removed.length,
        bytes,
        at: now(),
      };
      process.send?.({ receipt } satisfies ClientsMessage);
    }
    reported = client.seen.length;
    // What came is counted; kept it would be the world once more for each client.
    client.responses.length = 0;
    const holds = Object.fromEntries(Object.entries(client.held).map(([kind, held]) => [kind, held.size]));
    process.send?.({ client: index, holds } satisfies ClientsMessage);
  };
  client.subscribeAll("cluster");
  client.subscribeAll("listener");
  client.subscribe("route-configuration", ["http"]);
  client.subscribeAll("virtual-host");
  client.subscribe("secret", secretNames);
  clients.push(client);
}

process.on("disconnect", () => process.exit(0));
for (const client of clients)
  void client.ended.then(() => {
    if (client.failure !== null) console.error("a client ended:", client.failure);
  });

function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
