import { readFileSync } from "node:fs";
import { compile } from "../compile/compile.ts";
import { CredentialStore } from "../credentials/store.ts";
import { renderJson, renderText, sortDiagnostics } from "../diagnostics/render.ts";
import { CertificateFiles } from "../sources/files/certificate-files.ts";
import { createFileSource } from "../sources/files/files.ts";
import { systemClock } from "../telemetry/clock.ts";
import { createLogger } from "../telemetry/logger.ts";
import { allExist } from "./paths.ts";
import { filesToFollow } from "./wire.ts";

export interface CheckFlags {
  readonly format: "text" | "json";
  readonly requireUpstreamVerification?: boolean;
  readonly allowUnenforced?: boolean;
  readonly ambassadorId: string;
}

/** Everything that `run` would do up to the compiled model, credentials included, and what was found on the way. */
export async function check(paths: readonly string[], flags: CheckFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  // `credence check … | head`: the reader has seen enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  const store = new CredentialStore(systemClock);
  const source = createFileSource({
    paths,
    credentials: store,
    ambassadorId: flags.ambassadorId,
    logger: createLogger("silent"),
  });
  const loaded = await source.load();
  const files = new CertificateFiles(store);
  await files.follow(filesToFollow(loaded.resources));
  const compilation = compile({
    resources: loaded.resources,
    statuses: store.statuses,
    options: {
      address: "127.0.0.1",
      requireUpstreamVerification: flags.requireUpstreamVerification === true,
      allowUnenforced: flags.allowUnenforced === true,
    },
  });
  const diagnostics = sortDiagnostics([
    ...loaded.diagnostics,
    ...store.diagnostics(),
    ...compilation.diagnostics,
  ]);
  files.stop();
  store.close();
  const report = renderJson(diagnostics);
  if (flags.format === "json") process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    const texts = new Map<string, string | undefined>();
    const inColour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
    const readText = (file: string): string | undefined => {
      if (!texts.has(file)) texts.set(file, readOrNothing(file));
      return texts.get(file);
    };
    for (const diagnostic of diagnostics) {
      process.stdout.write(`${renderText(diagnostic, readText, inColour)}\n\n`);
    }
    const { routes, virtualHosts } = compilation.model;
    const { errors, warnings } = report.summary;
    const hosts = virtualHosts.filter(({ tls }) => tls.mode !== "cleartext").length;
    process.stdout.write(
      `${routes.length} routes, ${hosts} TLS hosts: ${errors} errors, ${warnings} warnings\n`,
    );
  }
  process.exitCode = report.summary.errors > 0 ? 1 : 0;
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
