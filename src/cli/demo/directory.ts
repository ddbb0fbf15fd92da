import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export interface DemoDirectory {
  /** The folder that the gateway reads. */
  readonly gateway: string;
  readonly secret: string;
  readonly readyFile: string;
  writeGateway(content: {
    readonly identity: { readonly certificate: string; readonly privateKey: string };
    readonly ca: string;
    readonly upstreamPort: number;
  }): void;
  remove(): void;
}

/** Makes the demo's folder anew. It holds a key: only its owner may look, and git never does. Throws where it is not ours. */
export function openDemoDirectory(path: string): DemoDirectory {
  const root = resolve(path);
  makeRoom(root);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  writeFileSync(join(root, MARKER), `${process.pid}\n`);
  writeFileSync(join(root, ".gitignore"), "*\n");
  const gateway = join(root, "gateway");
  const secret = join(gateway, "secret.yaml");
  return {
    gateway: shown(gateway),
    secret: shown(secret),
    readyFile: join(root, "ready.json"),
    writeGateway({ identity, ca, upstreamPort }) {
      cpSync(EXAMPLE, gateway, { recursive: true });
      const mapping = join(gateway, "mapping.yaml");
      const text = readFileSync(mapping, "utf8");
      writeFileSync(mapping, text.replace("localhost:8444", `localhost:${upstreamPort}`));
      writeFileSync(secret, secretYaml(identity, ca), { mode: 0o600 });
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Tells a folder of ours, which may be emptied, from one that somebody named by mistake. */
const MARKER = ".credence-demo";
const EXAMPLE = fileURLToPath(new URL("../../../examples/mtls", import.meta.url));

function makeRoom(root: string): void {
  let entries: string[];
  try {
    entries = readdirSync(root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (entries.length === 0) return;
  if (!entries.includes(MARKER)) {
    throw new Error(`${root} holds files that are not the demo's; name another folder with --directory`);
  }
  const pid = Number(readFileSync(join(root, MARKER), "utf8"));
  if (isRunning(pid)) {
    throw new Error(
      `another demo (process ${pid}) uses ${root}; end it, or name another folder with --directory`,
    );
  }
  rmSync(root, { recursive: true, force: true });
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** As one would type it here. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}

function secretYaml(identity: { certificate: string; privateKey: string }, ca: string): string {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  return `# Made by \`credence demo\`, for this run only.
apiVersion: v1
kind: Secret
metadata:
  name: upstream-certs
type: kubernetes.io/tls
data:
  tls.crt: ${encode(identity.certificate)}
  tls.key: ${encode(identity.privateKey)}
  ca.crt: ${encode(ca)}
`;
}
