import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { bootstrapOf, sdsFiles, type XdsTlsFiles } from "../../engines/envoy/process/bootstrap.ts";
import type { JsonObject } from "../../engines/envoy/process/json.ts";
import type { HostPort } from "../flag-values.ts";

export interface BootstrapFlags {
  readonly xdsAddress: HostPort;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly serverName?: string;
  readonly nodeId: string;
  readonly nodeCluster: string;
  readonly adminSocket?: string;
  readonly adminPort?: number;
  readonly dns: readonly string[];
  readonly maxConnections?: number;
  readonly directory?: string;
  readonly format: "yaml" | "json";
}

/** An Envoy's bootstrap on standard output; with a directory as files there, by which Envoy follows its certificates too. */
export function envoyBootstrap(flags: BootstrapFlags): void {
  const { directory, serverName, maxConnections } = flags;
  // Envoy is started elsewhere: what is relative here would be relative to there.
  const place = directory === undefined ? undefined : resolve(directory);
  const tls: XdsTlsFiles = {
    ca: resolve(flags.ca),
    certificate: resolve(flags.cert),
    privateKey: resolve(flags.key),
    ...(serverName === undefined ? {} : { serverName }),
    ...(place === undefined
      ? {}
      : { sds: { identity: join(place, "identity.json"), trust: join(place, "trust.json") } }),
  };
  for (const file of [tls.ca, tls.certificate, tls.privateKey])
    if (!existsSync(file)) console.error(`credence: warning: ${file} is not here; the Envoy needs it there.`);
  const bootstrap = bootstrapOf({
    nodeId: flags.nodeId,
    nodeCluster: flags.nodeCluster,
    xds: { host: flags.xdsAddress.address, port: flags.xdsAddress.port, tls },
    admin: adminOf(flags),
    dnsResolvers: flags.dns,
    ...(maxConnections === undefined ? {} : { maxConnections }),
  });
  if (place === undefined) {
    process.stdout.write(written(bootstrap, flags.format));
    return;
  }
  const file = join(place, `bootstrap.${flags.format}`);
  try {
    mkdirSync(place, { recursive: true });
    for (const [name, content] of Object.entries(sdsFiles(tls)))
      writeFileSync(join(place, `${name}.json`), written(content, "json"));
    writeFileSync(file, written(bootstrap, flags.format));
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    console.error(`credence: ${path ?? place} cannot be written: ${code}.`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`${file}\n`);
}

function adminOf({
  adminSocket,
  adminPort,
}: BootstrapFlags): { socket: string } | { loopbackPort: number } | null {
  if (adminSocket !== undefined) return { socket: resolve(adminSocket) };
  return adminPort === undefined ? null : { loopbackPort: adminPort };
}

function written(content: JsonObject, format: "yaml" | "json"): string {
  return format === "yaml" ? stringify(content) : `${JSON.stringify(content, null, 2)}\n`;
}
