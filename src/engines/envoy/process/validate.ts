import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "./json.ts";

export type Validation = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What `envoy --mode validate` says of a bootstrap. Its file is its owner's alone, and gone afterwards. */
export async function validateBootstrap(envoy: string, bootstrap: JsonObject): Promise<Validation> {
  const directory = mkdtempSync(join(tmpdir(), "credence-validate-"));
  try {
    const file = join(directory, "bootstrap.json");
    writeFileSync(file, JSON.stringify(bootstrap), { mode: 0o600 });
    const { status, text } = await runEnvoy(envoy, file);
    return status === 0 ? { ok: true } : { ok: false, reason: reasonIn(text, status) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function runEnvoy(envoy: string, file: string): Promise<{ status: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      envoy,
      [
        ...["--mode", "validate", "-c", file, "--disable-hot-restart", "--skip-deprecated-logs"],
        ...["--log-level", "error", "--log-format", "%v"],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, text }));
  });
}

/** Envoy says it up to three times, the file's name among it. */
function reasonIn(text: string, status: number | null): string {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/^error initializing configuration '[^']*': /, "").trim())
    .filter((line) => line !== "" && !line.startsWith("exiting"));
  const distinct = [...new Set(lines)];
  return distinct.length === 0 ? `Envoy ended with status ${status}` : distinct.join("\n");
}
