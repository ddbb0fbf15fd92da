// Simulated Envoys for bench/fleet.ts, in a process of their own: `node fleet-clients.ts COUNT PORT SECRETS CA CERTIFICATE KEY`. Says
// on the channel to its parent what each client got, and when (CLOCK_MONOTONIC, which all processes share).
import { subscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import type { ClientHttp2Stream } from "node:http2";
import { connect } from "node:tls";
import type { XdsKind } from "../src/engines/envoy/resources.ts";
import { DeltaClient, emptyHeld } from "../test/support/delta-client.ts";

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

/** What came within some milliseconds, and what the clients have then. Sent one by one, telling it would cost more than receiving it. */
export interface ClientsMessage {
  readonly receipts: readonly Receipt[];
  /** By client, as kind and count. */
  readonly holds: readonly (readonly [client: number, holds: Readonly<Record<string, number>>])[];
}

/** A million names and versions of a hundred clients are those of one: else collecting them would cost more than all that the clients do. */
class SharingMap extends Map<string, string> {
  static readonly #texts = new Map<string, string>();

  override set(name: string, version: string): this {
    return super.set(SharingMap.#shared(name), SharingMap.#shared(version));
  }

  static #shared(text: string): string {
    const known = SharingMap.#texts.get(text);
    if (known !== undefined) return known;
    SharingMap.#texts.set(text, text);
    return text;
  }
}

const [count, port, secrets, ca, cert, key] = process.argv.slice(2) as string[] as [
  string,
  string,
  string,
  string,
  string,
  string,
];
/**
 * As Envoy's, of a stream and of a connection. Node's own are of 64 KiB: with those it is the client who keeps the control plane from holding
 * a whole response once a client.
 */
const WINDOW_BYTES = 16 * 1024 * 1024;
subscribe("http2.client.stream.created", (message) => {
  const { stream } = message as { stream: ClientHttp2Stream };
  stream.once("ready", () => {
    stream.session?.settings({ initialWindowSize: WINDOW_BYTES });
    stream.session?.setLocalWindowSize(WINDOW_BYTES);
  });
});
const identity = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
/** What Envoy would find in clusters and listeners; bench/fleet.ts gives the Secrets these names. */
const secretNames = [
  "revision",
  "trust:secret/default/ca",
  ...Array.from({ length: Number(secrets) }, (_, index) => `credential:secret/default/secret-${index}`),
];
const clients: DeltaClient[] = [];
let receipts: Receipt[] = [];
const changed = new Set<number>();
let willReport = false;
const REPORT_MS = 20;
for (let index = 0; index < Number(count); index++) {
  const client = new DeltaClient(
    {
      node: `simulated-${index}`,
      connect: () =>
        connect({
          host: "127.0.0.1",
          port: Number(port),
          servername: "localhost",
          ALPNProtocols: ["h2"],
          ...identity,
        }),
    },
    emptyHeld(() => new SharingMap()),
  );
  client.onSeen = () => {
    const at = now();
    for (const { kind, names, removed, bytes } of client.seen)
      receipts.push({ client: index, kind, names: names.slice(0, 50), removed: removed.length, bytes, at });
    // What came is counted; kept it would be the world once more for each client.
    client.seen.length = 0;
    client.responses.length = 0;
    changed.add(index);
    if (!willReport) setTimeout(report, REPORT_MS);
    willReport = true;
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

function report(): void {
  willReport = false;
  const holds = [...changed].map((index) => {
    const held = Object.entries((clients[index] as DeltaClient).held);
    return [index, Object.fromEntries(held.map(([kind, names]) => [kind, names.size]))] as const;
  });
  process.send?.({ receipts, holds } satisfies ClientsMessage);
  receipts = [];
  changed.clear();
}

function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
