import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wireEnvoyGateway } from "../../src/cli/envoy/wire.ts";
import type { Gateway, GatewayOptions } from "../../src/cli/wire.ts";
import type { ListenerBounds } from "../../src/engines/envoy/bounds.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/engines/node/limits.ts";
import type { DnsAnswer } from "./dns-server.ts";
import { type DnsThread, startDnsThread } from "./dns-thread.ts";

/** A gateway that is put together and open, with an empty folder to read from. */
export interface Ground {
  readonly gateway: Gateway;
  readonly directory: string;
  readonly adminUrl: string;
  /** Has the gateway's DNS server say so; absent: it has none. */
  readonly answer?: (host: string, answer: DnsAnswer) => Promise<void>;
  /** By tests before: what it remembers of them is to be left out. */
  readonly isUsed: boolean;
}

type Wired = Omit<GatewayOptions, "paths" | "lookup">;

/** What is ready for the next test, by the options that it was wired with. */
const idle = new Map<string, Ground[]>();
const lent = new Map<Gateway, { readonly key: string; readonly dns: DnsThread }>();
let isPooling = false;

/** From now on an Envoy serves one test after the other: each start costs more than most tests. `closeGrounds` ends them. */
export function reuseEnvoys(): void {
  isPooling = true;
}

/** Nothing of the test before is left in it: the empty folder was applied, with no listener's routes, cluster or secret. */
export async function groundWithEnvoy(
  wired: Wired,
  hosts: Readonly<Record<string, readonly string[]>>,
): Promise<Ground> {
  const key = JSON.stringify([
    wired.compile,
    limitsOfBoth(wired.limits),
    drainSeconds(wired),
    wired.istioCerts,
  ]);
  const found = idle.get(key)?.pop();
  const ground = found ?? (await freshGround(wired, key));
  const { dns } = lent.get(ground.gateway) as { dns: DnsThread };
  // Nothing outside of this machine is asked, so this name has to be told as well.
  let told: Readonly<Record<string, DnsAnswer>> = { localhost: ["127.0.0.1"], ...hosts };
  await dns.know(told);
  return {
    ...ground,
    async answer(host, answer) {
      told = { ...told, [host]: answer };
      await dns.know(told);
    },
  };
}

/** False: it is not taken, and its user ends it. Its folder is empty. */
export async function giveBack(ground: Ground): Promise<boolean> {
  const from = lent.get(ground.gateway);
  if (!isPooling || from === undefined) return false;
  await ground.gateway.control.reload();
  idle.set(from.key, [...(idle.get(from.key) ?? []), { ...ground, isUsed: true }]);
  return true;
}

export async function closeGrounds(): Promise<void> {
  isPooling = false;
  const all = [...idle.values()].flat();
  idle.clear();
  await Promise.all(all.map(({ gateway }) => gateway.shutDown(0)));
}

/** Those that an Envoy is given; the others are the other engine's own. */
function limitsOfBoth(limits: Partial<Limits>): ListenerBounds & { readonly maxConnections: number } {
  const { maxConnections, maxHeadBytes, maxHeaders, handshakeTimeoutMs, headTimeoutMs, idleTimeoutMs } = {
    ...DEFAULT_LIMITS,
    ...limits,
  };
  return { maxConnections, maxHeadBytes, maxHeaders, handshakeTimeoutMs, headTimeoutMs, idleTimeoutMs };
}

function drainSeconds({ limits }: Wired): number {
  return Math.ceil((limits.retireMs ?? DEFAULT_LIMITS.retireMs) / 1000);
}

async function freshGround(wired: Wired, key: string): Promise<Ground> {
  const directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  const dns = await startDnsThread();
  const { limits, ...options } = wired;
  const { maxConnections, ...bounds } = limitsOfBoth(limits);
  const { path: envoy } = await findEnvoy({ environment: process.env });
  const wiredGateway = await wireEnvoyGateway({
    ...options,
    envoy,
    drainSeconds: drainSeconds(wired),
    concurrency: 1,
    paths: [directory],
    dnsResolvers: [`${dns.address}:${dns.port}`],
    maxConnections,
    bounds,
  });
  let closing: Promise<void> | undefined;
  const closed = (): Promise<void> => (closing ??= dns.close());
  const gateway: Gateway = {
    ...wiredGateway,
    async shutDown(milliseconds) {
      await wiredGateway.shutDown(milliseconds);
      await closed();
    },
  };
  lent.set(gateway, { key, dns });
  const { port } = await gateway.admin.open();
  return {
    gateway,
    directory,
    adminUrl: `http://127.0.0.1:${port}`,
    isUsed: false,
  };
}
