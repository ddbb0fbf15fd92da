import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";

/**
 * Envoys that are started from now on keep what they have replaced (listeners, filter chains) for so long; by default it is ten
 * minutes. Resolves with the function that puts it back.
 */
export async function shortenEnvoyDrainTime(seconds: number): Promise<() => void> {
  const { path } = await findEnvoy({ environment: process.env });
  const folder = mkdtempSync(join(tmpdir(), "credence-envoy-"));
  const quicker = join(folder, "envoy");
  writeFileSync(quicker, `#!/bin/sh\nexec '${path}' "$@" --drain-time-s ${seconds}\n`, { mode: 0o700 });
  const before = process.env.CREDENCE_ENVOY;
  process.env.CREDENCE_ENVOY = quicker;
  return () => {
    if (before === undefined) delete process.env.CREDENCE_ENVOY;
    else process.env.CREDENCE_ENVOY = before;
    rmSync(folder, { recursive: true });
  };
}
