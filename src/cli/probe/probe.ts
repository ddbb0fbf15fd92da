import { createDnsEndpoints } from "../../endpoints/dns.ts";
import type { ProbeContext } from "../../probe/context.ts";
import type { PeerReport, ProbeReport } from "../../probe/report.ts";
import { probeUpstream } from "../../probe/upstream.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { loadGateway, type LoadedGateway, type ResourceFlags } from "../load.ts";
import { allExist } from "../paths.ts";
import { endWithReader, inColour, printJson } from "../standard-output.ts";
import { closedReport } from "./closed.ts";
import { fieldPlaces } from "./field-places.ts";
import { findTarget, type Target } from "./targets.ts";
import { probeText } from "./text.ts";

export interface ProbeFlags extends ResourceFlags {
  readonly format: "text" | "json";
  readonly timeout?: number;
  readonly wait: number;
  readonly request?: string;
}

/** Makes the handshakes of a Mapping, TLSContext or URL as the gateway would, and explains them. */
export async function probe(text: string, paths: readonly string[], flags: ProbeFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const gateway = await loadGateway(paths, flags);
  const target = findTarget(text, gateway);
  if ("problem" in target) {
    console.error(`credence: ${target.problem}`);
    process.exitCode = 2;
    return;
  }
  const peers = await probeAll(target, gateway, contextOf(gateway, flags));
  const report: ProbeReport = {
    version: 1,
    target: target.name,
    good: peers.every(({ verdict }) => verdict.good),
    peers,
  };
  if (flags.format === "json") printJson(report);
  else process.stdout.write(`${probeText(report, inColour())}\n`);
  process.exitCode = report.good ? 0 : 1;
}

type Found = Exclude<Target, { readonly problem: string }>;

async function probeAll(target: Found, gateway: LoadedGateway, context: ProbeContext): Promise<PeerReport[]> {
  const peers = target.closed.map((closed) => closedReport(closed, gateway.diagnostics));
  for (const upstream of target.upstreams) peers.push(await probeUpstream(upstream, context));
  return peers;
}

function contextOf(gateway: LoadedGateway, flags: ProbeFlags): ProbeContext {
  const [method, path] = (flags.request ?? "").split(" ");
  return {
    credentials: gateway.store,
    endpoints: createDnsEndpoints({ clock: systemClock }),
    now: Date.now(),
    timeoutMs: flags.timeout ?? null,
    settleMs: flags.wait,
    request: flags.request === undefined ? null : { method: method || "HEAD", path: path || "/" },
    place: fieldPlaces(gateway),
  };
}
