import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../src/x509/authority.ts";

/** A temporary folder with the certificates that all proxies share. */
export interface Workspace {
  readonly directory: string;
  /** Of the CA, in PEM. */
  readonly ca: string;
  readonly files: {
    readonly ca: string;
    /** What clients of the proxy see, and what the upstream shows: both for `localhost`. */
    readonly server: CredentialFiles;
    readonly upstream: CredentialFiles;
    /** What the proxy shows to the upstream. */
    readonly client: CredentialFiles;
  };
  write(path: string, content: string | Buffer): string;
  remove(): void;
}

export interface CredentialFiles {
  readonly certificate: string;
  readonly key: string;
  /** Both in one file, as HAProxy wants them. */
  readonly both: string;
}

export async function createWorkspace(): Promise<Workspace> {
  const directory = mkdtempSync(join(tmpdir(), "credence-bench-"));
  const write = (path: string, content: string | Buffer): string => {
    const file = join(directory, path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  };
  const authority = await createAuthority("Credence bench CA", 2);
  const issue = async (name: string, usage: "server" | "client"): Promise<CredentialFiles> => {
    const issued = await authority.issue({
      commonName: name,
      usage,
      ...(usage === "server" ? { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] } : {}),
    });
    return {
      certificate: write(`pki/${name}.crt`, issued.certificate),
      key: write(`pki/${name}.key`, issued.privateKey),
      both: write(`pki/${name}.pem`, issued.certificate + issued.privateKey),
    };
  };
  return {
    directory,
    ca: authority.certificate,
    files: {
      ca: write("pki/ca.crt", authority.certificate),
      server: await issue("server", "server"),
      upstream: await issue("upstream", "server"),
      client: await issue("client", "client"),
    },
    write,
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
