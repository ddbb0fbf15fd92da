import { createPrivateKey } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Authority, createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { PlantedKeys } from "../support/planted-keys.ts";

/** Resources full of keys: some in use, and one in each kind of mistake. */
export interface PlantedFolder {
  readonly path: string;
  readonly keys: PlantedKeys;
  readonly authority: Authority;
  /** A server's certificate for localhost, for upstreams. */
  readonly upstream: IssuedCertificate;
  /** Another pair for the Secret in use, as a file that takes its place. */
  readonly renewed: string;
}

/** A password in a Secret, which is nobody's business either. */
const PASSWORD = "pLaNtEd-PaSsWoRd-31415926";

/** `upstreamPort` is where a server asks for a client's certificate. */
export async function plantFolder(path: string, upstreamPort: number): Promise<PlantedFolder> {
  const keys = new PlantedKeys();
  keys.addText("password", PASSWORD);
  const authority = await createAuthority("planted CA");
  const issue = async (
    name: string,
    keyType: "ec" | "rsa" | "ed25519" = "ec",
  ): Promise<IssuedCertificate> => {
    const issued = await authority.issue({
      commonName: name,
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
      keyType,
    });
    keys.addKey(name, issued.privateKey);
    return issued;
  };
  const write = (name: string, text: string | Buffer): void => writeFileSync(join(path, name), text);
  const service = `https://localhost:${upstreamPort}`;

  // In use: a Secret with base64, one with text, files with SEC1 and a key of each kind.
  const client = await issue("client");
  const renewed = await issue("renewed");
  const server = await issue("server", "rsa");
  const filed = await issue("filed");
  const edwards = await issue("edwards", "ed25519");
  const sec1 = createPrivateKey(filed.privateKey).export({ format: "pem", type: "sec1" }) as string;
  mkdirSync(join(path, "files"));
  write("files/filed.crt", filed.certificate);
  write("files/filed.key", sec1);
  write("a-client.yaml", secretYaml("client", { ...client, ca: authority.certificate }));
  write(
    "a-server.yaml",
    textSecret("server", { "tls.crt": server.certificate, "tls.key": server.privateKey }),
  );
  write(
    "b-contexts.yaml",
    [
      tlsContextYaml("client", { secret: "client" }),
      tlsContextYaml("filed", {
        cert_chain_file: join(path, "files/filed.crt"),
        private_key_file: join(path, "files/filed.key"),
      }),
      tlsContextYaml("server", { hosts: ["localhost"], secret: "server" }),
      tlsContextYaml("edwards", { secret: "edwards" }),
      mappingYaml("client", { prefix: "/client/", service, tls: "client" }),
      mappingYaml("filed", { prefix: "/filed/", service, tls: "filed" }),
      mappingYaml("edwards", { prefix: "/edwards/", service, tls: "edwards" }),
      secretYaml("edwards", edwards),
      textSecret("password", { password: PASSWORD, "ca.crt": authority.certificate }),
    ].join(""),
  );

  // Mistakes, each with a key of its own, and a Mapping that asks for it.
  for (const [name, make] of Object.entries(MISTAKES)) {
    const issued = await issue(name, name.startsWith("rsa") ? "rsa" : "ec");
    write(`c-${name}.yaml`, `${make(name, issued, server)}\n`);
    write(
      `d-${name}.yaml`,
      tlsContextYaml(name, { secret: name, ca_secret: name }) +
        mappingYaml(name, { prefix: `/broken/${name}/`, service, tls: name }),
    );
  }
  for (const [name, make] of Object.entries(BROKEN_FILES)) {
    const issued = await issue(name);
    write(`files/${name}.crt`, issued.certificate);
    write(`files/${name}.key`, make(issued));
    write(
      `d-${name}.yaml`,
      tlsContextYaml(name, {
        cert_chain_file: join(path, `files/${name}.crt`),
        private_key_file: join(path, `files/${name}.key`),
        ...(name === "file-everywhere" ? everywhere(join(path, `files/${name}.key`)) : {}),
      }) + mappingYaml(name, { prefix: `/broken/${name}/`, service, tls: name }),
    );
  }
  const upstream = await authority.issue({
    commonName: "upstream",
    dnsNames: ["localhost"],
    usage: "server",
  });
  return {
    path,
    keys,
    authority,
    upstream,
    renewed: secretYaml("client", { ...renewed, ca: authority.certificate }),
  };
}

function everywhere(key: string): Record<string, unknown> {
  return { cacert_chain_file: key, ocsp_staple_file: key, verify: { crl_file: key } };
}

type Mistake = (name: string, issued: IssuedCertificate, other: IssuedCertificate) => string;

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");

/** Its passphrase is found where it is written, though nobody but the test knows it. */
function encrypted(pem: string, type: "pkcs8" | "sec1"): string {
  const passphrase = { cipher: "aes-256-cbc", passphrase: PASSWORD };
  return createPrivateKey(pem).export({ format: "pem", type, ...passphrase }) as string;
}

/** What `openssl ecparam -genkey` writes before a key. */
const PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

function textSecret(name: string, values: Readonly<Record<string, string>>): string {
  return `---\n${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: values })}\n`;
}

function block(key: string, text: string, indent = 2): string {
  const space = " ".repeat(indent);
  return `${space}${key}: |\n${text.replace(/^/gm, `${space}  `)}\n`;
}

const HEAD = (name: string): string => `---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n`;

/** What people do to Secrets. */
const MISTAKES: Readonly<Record<string, Mistake>> = {
  mismatch: (name, { privateKey }, other) => secretYaml(name, { certificate: other.certificate, privateKey }),
  "rsa-mismatch": (name, { privateKey }, other) =>
    secretYaml(name, { certificate: other.certificate, privateKey }),
  truncated: (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: privateKey.slice(0, -30) }),
  "illegal-character": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: privateKey.replace(/\n-----END/, "*\n-----END") }),
  "wrong-label": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: privateKey.replaceAll("PRIVATE KEY", "RSA PRIVATE KEY") }),
  "no-label": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: privateKey.replace(/-----[^-]+-----/g, "") }),
  encrypted: (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: encrypted(privateKey, "pkcs8") }),
  "encrypted-of-old": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: encrypted(privateKey, "sec1") }),
  "beside-its-parameters": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: `${PARAMETERS}${privateKey}garbage after it` }),
  twice: (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: privateKey + privateKey }),
  "base64-twice": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate, privateKey: base64(privateKey) }),
  der: (name, { certificate, privateKey }) =>
    `${HEAD(name)}data:\n  tls.crt: ${base64(certificate)}\n  tls.key: ${base64(createPrivateKey(privateKey).export({ format: "der", type: "pkcs8" }))}\n`,
  swapped: (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate: privateKey, privateKey: certificate }),
  "in-the-chain": (name, { certificate, privateKey }) =>
    secretYaml(name, { certificate: privateKey + certificate, privateKey: "nothing" }),
  "in-the-ca": (name, { certificate, privateKey }) => secretYaml(name, { certificate, ca: privateKey }),
  "not-base64": (name, { privateKey }) => `${HEAD(name)}data:\n${block("tls.key", privateKey)}`,
  "no-map": (name, { privateKey }) => HEAD(name) + block("data", privateKey, 0),
  "a-list": (name, { privateKey }) => `${HEAD(name)}data:\n  tls.key: [${JSON.stringify(privateKey)}]\n`,
  "as-a-key": (name, { privateKey }) =>
    `${HEAD(name)}stringData:\n  ${JSON.stringify(privateKey)}: tls.key\n`,
  "unknown-type": (name, { privateKey }) =>
    `${HEAD(name)}type: kubernetes.io/basic-auth\nstringData:\n${block("tls.key", privateKey)}`,
  "key-as-type": (name, { privateKey }) => `${HEAD(name)}type: ${JSON.stringify(privateKey)}\n`,
  "other-kind": (name, { privateKey }) =>
    `---\napiVersion: v1\nkind: Secrets\nmetadata: { name: ${name} }\nstringData:\n${block("tls.key", privateKey)}`,
  "syntax-before": (name, { privateKey }) =>
    `---\nkind: Secret\n  apiVersion: v1\nmetadata: { name: ${name} }\nstringData:\n${block("tls.key", privateKey)}`,
  "syntax-inside": (name, { privateKey }) =>
    `${HEAD(name)}stringData:\n  tls.key: |\n    -----BEGIN PRIVATE KEY-----\n${privateKey.split("\n").slice(1).join("\n")}`,
  "syntax-after": (name, { privateKey }) =>
    `${HEAD(name)}stringData:\n${block("tls.key", privateKey)}  tls.crt: "unended\n`,
  "one-line": (name, { privateKey }) =>
    `${HEAD(name)}stringData: { tls.key: ${privateKey.replaceAll("\n", " ")} : [}\n`,
  "an-alias": (name, { privateKey }) =>
    `${HEAD(name)}x: &key ${base64(privateKey)}\ndata:\n  tls.key: *nokey\n  other: *key\n`,
  "key-twice": (name, { privateKey }) =>
    `${HEAD(name)}data:\n  tls.key: ${base64(privateKey)}\n  tls.key: ${base64(privateKey)}\n`,
  "stands-twice": (name, { certificate, privateKey }, other) =>
    secretYaml(name, { certificate, privateKey }) + secretYaml(name, other),
  "in-an-annotation": (name, { privateKey }) =>
    `---\napiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\n  annotations:\n    getambassador.io/config: |\n      ---\n      kind: Secret\n      name: ${name}\n${block("tls.key", privateKey, 6)}spec: {}\n`,
  "as-name": (_name, { privateKey }) =>
    `---\napiVersion: v1\nkind: Secret\nmetadata:\n${block("name", privateKey)}data: {}\n`,
  "in-a-context": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { secret: privateKey }) +
    mappingYaml(`${name}-pasted`, {
      prefix: "/pasted/a/",
      service: "https://localhost",
      tls: `${name}-pasted`,
    }),
  "in-a-path": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { cert_chain_file: privateKey, private_key_file: privateKey }) +
    mappingYaml(`${name}-pasted`, {
      prefix: "/pasted/b/",
      service: "https://localhost",
      tls: `${name}-pasted`,
    }),
  "in-a-ca-path": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { cacert_chain_file: privateKey }),
  "in-verify": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, {
      secret: "client",
      ca_secret: "client",
      verify: {
        dns_names: [privateKey],
        spiffe_ids: [privateKey],
        crl_file: privateKey,
        crl_secret: privateKey,
      },
    }),
  "in-an-identity": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { identity: { spiffe: { socket: privateKey, hint: privateKey } } }),
  "in-a-tls-annotation": (name, { privateKey }) =>
    `---\napiVersion: getambassador.io/v2\nkind: TLSContext\nmetadata:\n  name: ${name}-pasted\n  annotations:\n    credence.dev/tls: ${JSON.stringify(JSON.stringify({ dns_names: [privateKey], crl_file: privateKey, nothing: privateKey }))}\nspec: { secret: client }\n`,
  "as-a-list": (name, { privateKey }) => textSecret(name, { "crl.pem": privateKey }),
  "in-a-wrong-field": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { private_key: privateKey, sni: privateKey }),
  "in-a-host": (name, { privateKey }) =>
    tlsContextYaml(`${name}-pasted`, { hosts: [privateKey], secret: "client" }),
  "in-a-mapping": (name, { privateKey }) =>
    mappingYaml(`${name}-pasted`, { prefix: "/pasted/c/", service: "https://localhost", tls: privateKey }),
};

/** What people do to files. */
const BROKEN_FILES: Readonly<Record<string, (issued: IssuedCertificate) => string | Buffer>> = {
  "file-truncated": ({ privateKey }) => privateKey.slice(0, -40),
  "file-other-key": ({ privateKey }) => privateKey.replace(/-----END/, "x-----END"),
  "file-der": ({ privateKey }) => createPrivateKey(privateKey).export({ format: "der", type: "pkcs8" }),
  // Named as the CA, the revocation list and the staple as well.
  "file-everywhere": ({ privateKey }) => privateKey,
  "file-in-both": ({ certificate, privateKey }) => certificate + privateKey.slice(0, 100),
};
