import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { type Authority, createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { Credence, eventually, fetchText, scratch } from "./credence.ts";

/** A fleet's certificates, and files of them. */
export interface Pki {
  readonly folder: string;
  readonly authority: Authority;
  /** Writes `NAME.crt` and `NAME.key`. */
  write(name: string, issued: IssuedCertificate): { certificate: string; privateKey: string };
  readonly ca: string;
}

export async function pki(t: TestContext): Promise<Pki> {
  const authority = await createAuthority("fleet CA");
  const folder = scratch(t, { "ca.pem": authority.certificate });
  const pki: Pki = {
    folder,
    authority,
    ca: join(folder, "ca.pem"),
    write(name, { certificate, privateKey }) {
      const paths = { certificate: join(folder, `${name}.crt`), privateKey: join(folder, `${name}.key`) };
      for (const [path, text] of [
        [paths.privateKey, privateKey],
        [paths.certificate, certificate],
      ] as const) {
        writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
        renameSync(`${path}.tmp`, path);
      }
      return paths;
    },
  };
  pki.write("xds", await issueServer(authority, "first"));
  return pki;
}

export function issueServer(authority: Authority, commonName: string): Promise<IssuedCertificate> {
  return authority.issue({
    commonName,
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    usage: "server",
  });
}

export interface PlaneReady {
  readonly pid: number;
  readonly xds: string;
  readonly admin: string;
}

export async function startControlPlane(
  t: TestContext,
  folder: string,
  files: Pki,
  ...flags: string[]
): Promise<{ process: Credence; ready: PlaneReady }> {
  const readyFile = join(scratch(t), "ready.json");
  const process = new Credence(t, [
    "control-plane",
    folder,
    ...["--xds-address", "127.0.0.1:0", "--xds-cert", join(files.folder, "xds.crt")],
    ...["--xds-key", join(files.folder, "xds.key"), "--xds-client-ca", files.ca],
    ...["--address", "127.0.0.1", "--admin-port", "0", "--ready-file", readyFile, "--log-format", "json"],
    ...flags,
  ]);
  await eventually(() => {
    if (process.child.exitCode !== null) throw new Error(`it ended: ${process.stderr}`);
    return existsSync(readyFile);
  });
  return { process, ready: JSON.parse(readFileSync(readyFile, "utf8")) };
}

/** An Envoy as its operator starts it: with what `credence envoy bootstrap` wrote. */
export async function startEnvoy(
  t: TestContext,
  files: Pki,
  xds: string,
  name: string,
  ...flags: string[]
): Promise<{ stderr(): string; stdout(): string }> {
  const directory = scratch(t);
  const { code, stdout, stderr } = await new Credence(t, [
    ...["envoy", "bootstrap", "--xds-address", xds, "--ca", files.ca],
    ...["--cert", join(files.folder, `${name}.crt`), "--key", join(files.folder, `${name}.key`)],
    ...["--node-id", name, "--directory", directory],
  ]).ended;
  assert.deepEqual([code, stderr], [0, ""]);
  const bootstrap = stdout.trim();
  assert.ok(!readFileSync(bootstrap, "utf8").includes("PRIVATE KEY"));
  const { path } = await findEnvoy({ environment: process.env });
  const child: ChildProcess = spawn(
    path,
    ["-c", bootstrap, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", ...flags],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let text = "";
  let lines = "";
  child.stdout?.setEncoding("utf8").on("data", (piece) => {
    lines += piece;
  });
  child.stderr?.setEncoding("utf8").on("data", (piece) => {
    text += piece;
  });
  t.after(async () => {
    const ended = once(child, "exit");
    if (child.exitCode === null && child.kill("SIGKILL")) await ended;
  });
  return { stderr: () => text, stdout: () => lines };
}

/** An Envoy with a certificate that is issued for its name. */
export async function startMember(
  ...[t, files, xds, name, ...flags]: Parameters<typeof startEnvoy>
): ReturnType<typeof startEnvoy> {
  files.write(name, await files.authority.issue({ commonName: name, dnsNames: [name], usage: "client" }));
  return startEnvoy(t, files, xds, name, ...flags);
}

/** The status of the answers on a port of this machine, by path; 0: none came. */
export function statusOn(port: number): (path: string) => Promise<number> {
  return (path) =>
    fetchText(`http://127.0.0.1:${port}${path}`).then(
      ({ status }) => status,
      () => 0,
    );
}

export interface Proxy {
  readonly node: string;
  readonly identity: string;
  readonly upToDate: boolean;
  readonly connectedSince: string;
}

export async function proxies(admin: string): Promise<Map<string | undefined, readonly Proxy[]>> {
  const { body } = await fetchText(`http://${admin}/ambassador/v0/diag/?json=true`);
  const { engines } = JSON.parse(body) as { engines: { group?: string; proxies: Proxy[] }[] };
  return new Map(engines.map(({ group, proxies }) => [group, proxies]));
}

export function object(kind: string, namespace: string, name: string, spec: unknown): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind, metadata: { name, namespace }, spec })}\n`;
}
