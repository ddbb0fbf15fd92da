import { DEFAULT_BOUNDS } from "../../engines/envoy/bounds.ts";
import { EnvoyNotFound, type FoundEnvoy, findEnvoy } from "../../engines/envoy/process/find.ts";
import { patienceOf } from "../../engines/envoy/process/pulse.ts";
import type { EnvoyFlags } from "../envoy-flags.ts";
import { changedLimits, flagText, type LimitFlags, limitsOf } from "../limit-flags.ts";
import type { Gateway, GatewayOptions } from "../wire.ts";
import { wireEnvoyGateway } from "./wire.ts";

/** A gateway with an Envoy of its own; null where there is none to run, which is said. */
export async function createEnvoyGateway(
  options: Omit<GatewayOptions, "limits">,
  flags: EnvoyFlags & LimitFlags & { readonly drainSeconds: number },
): Promise<Gateway | null> {
  const found = await foundEnvoy(flags.envoy);
  if (found === null) return null;
  const { logger } = options;
  if (found.warning !== null) logger.warn({ envoy: found.path }, found.warning);
  // Envoy's own bounds hold for the others; what somebody asks for and does not get is said.
  const unheeded = changedLimits(flags).filter((flag) => !HEEDED.has(flag));
  if (unheeded.length > 0)
    logger.warn(
      { flags: unheeded.map(flagText) },
      "these limits are the node engine's, and do nothing with Envoy",
    );
  logger.info({ envoy: found.path, version: found.version }, "running Envoy");
  return wireEnvoyGateway({
    ...options,
    envoy: found.path,
    drainSeconds: flags.drainSeconds,
    concurrency: flags.envoyConcurrency,
    patience: flags.envoyPatience === undefined ? undefined : patienceOf(flags.envoyPatience),
    dnsResolvers: flags.envoyDns,
    maxConnections: flags.maxConnections,
    bounds: { ...DEFAULT_BOUNDS, ...limitsOf(flags, BOUNDS) },
  });
}

/** Limits that a listener of Envoy has too. */
const BOUNDS = ["maxHeadKib", "maxHeaders", "handshakeTimeout", "headTimeout", "idleTimeout"] as const;
const HEEDED: ReadonlySet<keyof LimitFlags> = new Set(["maxConnections", ...BOUNDS]);

async function foundEnvoy(flag: string | undefined): Promise<FoundEnvoy | null> {
  try {
    return await findEnvoy({ flag, environment: process.env });
  } catch (error) {
    if (!(error instanceof EnvoyNotFound)) throw error;
    console.error(`credence: ${error.message}.`);
    return null;
  }
}
