import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createPki, type DevelopmentIdentity, type DevelopmentPki, type KeyKind } from "./pki.ts";

export interface DevFlags {
  readonly dns: readonly string[];
  readonly spiffe: readonly string[];
  readonly days: number;
  readonly key: KeyKind;
  readonly namespace: string;
  readonly force?: boolean;
}

/** Makes a PKI to develop with in `directory`, readable by its owner alone, and prints the YAML that uses it. */
export async function makeDevelopmentPki(directory: string, flags: DevFlags): Promise<void> {
  const dnsNames = flags.dns.length === 0 ? ["localhost"] : flags.dns;
  const pki = await createPki({ dnsNames, spiffeIds: flags.spiffe, days: flags.days, keyType: flags.key });
  const files = filesOf(pki, flags.namespace);
  const present = [...files.keys()].map((name) => join(directory, name)).filter(isThere);
  try {
    if (present.length > 0 && flags.force !== true)
      throw new Error(`${present.join(", ")} would be overwritten; --force does so`);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [name, text] of files) {
      const path = join(directory, name);
      // Anew, since what is there may be readable by others, or lead elsewhere.
      rmSync(path, { force: true });
      writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    }
  } catch (error) {
    const { code, message, path } = error as NodeJS.ErrnoException;
    console.error(`credence: ${code === undefined ? message : `${path ?? directory}: ${code}`}`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(howToUse(directory, dnsNames, pki, flags.namespace));
}

/** By name. The CAs' keys are not among them. */
function filesOf({ root, intermediate, identities }: DevelopmentPki, namespace: string): Map<string, string> {
  return new Map([
    [".gitignore", "# Private keys: nothing of this folder belongs into a repository.\n*\n"],
    ["root.pem", root],
    ["intermediate.pem", intermediate],
    ...identities.flatMap(({ name, certificate, privateKey }): [string, string][] => [
      [`${name}.pem`, certificate],
      [`${name}-key.pem`, privateKey],
    ]),
    ["secrets.yaml", identities.map((identity) => secretOf(identity, root, namespace)).join("")],
  ]);
}

/** With the root beside it: whoever is spoken to is verified. */
function secretOf(
  { name, certificate, privateKey }: DevelopmentIdentity,
  root: string,
  namespace: string,
): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return `---
apiVersion: v1
kind: Secret
metadata:
  name: dev-${name}
  namespace: ${namespace}
type: kubernetes.io/tls
data:
  tls.crt: ${base64(certificate)}
  tls.key: ${base64(privateKey)}
  ca.crt: ${base64(root)}
`;
}

/** YAML with comments, so that the output may go into a file as it is. Names of files and Secrets, no key. */
function howToUse(
  directory: string,
  dnsNames: readonly string[],
  { identities }: DevelopmentPki,
  namespace: string,
): string {
  const workloads = identities.filter(({ side }) => side === "both");
  const at = (file: string): string => JSON.stringify(join(directory, file));
  const context = (name: string, spec: string): string => `---
apiVersion: getambassador.io/v2
kind: TLSContext
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
${spec}`;
  return [
    `# Made in ${directory}, for development alone: the certificates and keys as PEM, and secrets.yaml with the Secrets that
# the objects below name. The keys of its CAs were not kept, so nothing more can be issued in their name.
#   credence certs dev ${directory} … > tls.yaml
#   credence run ${join(directory, "secrets.yaml")} tls.yaml mappings.yaml
#   curl --cacert ${join(directory, "root.pem")} --cert ${join(directory, "client.pem")} --key ${join(directory, "client-key.pem")} --connect-to ::127.0.0.1: https://${(dnsNames[0] ?? "").replace("*", "any")}:8443/
# Serves ${dnsNames.join(", ")}. The two lines commented out ask clients for a certificate of this PKI.
`,
    context(
      "dev-server",
      `  hosts: ${JSON.stringify(dnsNames)}
  secret: dev-server
  # ca_secret: dev-client
  # cert_required: true
`,
    ),
    "# Presents the client's certificate, and verifies who is spoken to: `tls: dev-client` in a Mapping.\n",
    context("dev-client", "  secret: dev-client\n"),
    ...workloads.map(({ name }) => context(`dev-${name}`, `  secret: dev-${name}\n`)),
    "# The same by files instead of Secrets; they are followed when they change.\n",
    context(
      "dev-client-files",
      `  cert_chain_file: ${at("client.pem")}
  private_key_file: ${at("client-key.pem")}
  cacert_chain_file: ${at("root.pem")}
`,
    ),
  ].join("");
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
