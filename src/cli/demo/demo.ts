import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority } from "../../x509/authority.ts";
import { startIdentityUpstream } from "./upstream.ts";

export interface DemoFlags {
  readonly directory: string;
  readonly once?: boolean;
}

/** Everything of the documented page on one machine: PKI, an upstream that insists on a client certificate, the gateway. */
export async function demo(flags: DemoFlags): Promise<void> {
  const directory = resolve(flags.directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });

  const authority = await createAuthority("Credence demo CA", 7);
  const server = await authority.issue({
    commonName: "upstream-service",
    dnsNames: ["localhost"],
    usage: "server",
  });
  const client = await authority.issue({
    commonName: "credence-gateway",
    dnsNames: ["gateway.demo.example"],
    usage: "client",
  });
  const upstream = await startIdentityUpstream(
    { ...server, clientCa: authority.certificate },
    await freePort(8444),
  );

  const configuration = resolve(directory, "gateway");
  const secretFile = resolve(configuration, "secret.yaml");
  await cp(fileURLToPath(new URL("../../../examples/mtls", import.meta.url)), configuration, {
    recursive: true,
  });
  const mapping = resolve(configuration, "mapping.yaml");
  await writeFile(
    mapping,
    (await readFile(mapping, "utf8")).replace("localhost:8444", `localhost:${upstream.port}`),
  );
  await writeFile(secretFile, secretYaml(client, authority.certificate), { mode: 0o600 });

  const ports = { http: await freePort(8080), admin: await freePort(8877) };
  const readyFile = resolve(directory, "ready.json");
  const gateway = startGateway(configuration, ports, readyFile);
  const end = async (): Promise<void> => {
    gateway.kill("SIGTERM");
    upstream.close();
    await Promise.race([once(gateway, "exit"), new Promise((done) => setTimeout(done, 3000))]);
    await rm(directory, { recursive: true, force: true });
  };
  if (flags.once !== true) {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => void end().then(() => process.exit(0)));
  }
  try {
    await waitForFile(readyFile, gateway);
    const response = await fetch(`http://127.0.0.1:${ports.http}/upstream/hello`);
    const body = await response.text();
    process.stdout.write(story(ports, upstream.port, secretFile, response.status, body));
    process.exitCode = response.status === 200 && body.includes("credence-gateway") ? 0 : 1;
  } catch (error) {
    console.error(`credence demo: ${(error as Error).message}`);
    process.exitCode = 1;
    await end();
    return;
  }
  if (flags.once === true) await end();
}

function secretYaml(client: { certificate: string; privateKey: string }, ca: string): string {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  return (
    "# Made by `credence demo`, for this run only.\napiVersion: v1\nkind: Secret\nmetadata:\n  name: upstream-certs\ntype: kubernetes.io/tls\ndata:\n" +
    `  tls.crt: ${encode(client.certificate)}\n  tls.key: ${encode(client.privateKey)}\n  ca.crt: ${encode(ca)}\n`
  );
}

function startGateway(
  configuration: string,
  ports: { http: number; admin: number },
  readyFile: string,
): ChildProcess {
  const bin = fileURLToPath(new URL("../../../bin/credence.js", import.meta.url));
  const args = ["run", configuration, "--http-port", String(ports.http), "--admin-port", String(ports.admin)];
  // A process group of its own: Ctrl-C reaches the demo alone, which then ends the gateway in order.
  return spawn(
    process.execPath,
    [bin, ...args, "--ready-file", readyFile, "--no-access-log", "--log-level", "warn"],
    {
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    },
  );
}

async function waitForFile(file: string, gateway: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (gateway.exitCode !== null) throw new Error(`the gateway ended with status ${gateway.exitCode}`);
    const there = await readFile(file, "utf8").then(
      () => true,
      () => false,
    );
    if (there) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("the gateway did not become ready within 10 s");
}

/** The wished port where it is free, else any. */
async function freePort(wished: number): Promise<number> {
  for (const port of [wished, 0]) {
    const server = createServer();
    const bound = await new Promise<number | null>((done) => {
      server.once("error", () => done(null));
      server.listen(port, "127.0.0.1", () => done((server.address() as { port: number }).port));
    });
    if (bound === null) continue;
    await new Promise((done) => server.close(done));
    return bound;
  }
  throw new Error("no port is free");
}

function story(
  ports: { http: number; admin: number },
  upstream: number,
  secretFile: string,
  status: number,
  body: string,
): string {
  const url = `http://127.0.0.1:${ports.http}/upstream/hello`;
  const diag = `http://127.0.0.1:${ports.admin}/ambassador/v0/diag/`;
  return `
  gateway      http://127.0.0.1:${ports.http}     reads ${resolve(secretFile, "..")}
  diagnostics  ${diag}
  upstream     https://localhost:${upstream}    answers only to a client certificate of the demo's CA

  One request was made: GET ${url}
  It was answered ${status}, and this is who the upstream saw:

${body.replace(/^/gm, "    ")}
  Try next:

    curl ${url}
    curl -k https://localhost:${upstream}/            # without the gateway: refused, no certificate

  Break it, and see it fail closed (503 and an id, never cleartext):

    mv ${secretFile} ${secretFile}.away; sleep 1; curl -i ${url}
    curl '${diag}?failure=THE-ID'                  # what the id stands for

  Mend it:

    mv ${secretFile}.away ${secretFile}; sleep 1; curl ${url}

  Ctrl-C ends all of it.

`;
}
