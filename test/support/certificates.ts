import { type Authority, createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";

/** Certificates that most tests need, made once a process. Nothing of it is ever written into the repository. */
export interface Certificates {
  readonly ca: Authority;
  /** A CA that nobody trusts. */
  readonly stranger: Authority;
  /** For `localhost` and 127.0.0.1. */
  readonly server: IssuedCertificate;
  readonly client: IssuedCertificate;
}

let made: Promise<Certificates> | undefined;

export function certificates(): Promise<Certificates> {
  made ??= make();
  return made;
}

async function make(): Promise<Certificates> {
  const [ca, stranger] = await Promise.all([createAuthority("test CA"), createAuthority("stranger CA")]);
  const [server, client] = await Promise.all([
    ca.issue({ commonName: "server", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], usage: "server" }),
    ca.issue({ commonName: "gateway", dnsNames: ["gateway.example"], usage: "client" }),
  ]);
  return { ca, stranger, server, client };
}

/** A Secret as YAML; undefined parts are left out. */
export function secretYaml(
  name: string,
  parts: {
    certificate?: string | undefined;
    privateKey?: string | undefined;
    ca?: string | undefined;
    crl?: string | undefined;
    namespace?: string;
  },
): string {
  const line = (key: string, value: string | undefined): string =>
    value === undefined ? "" : `  ${key}: ${Buffer.from(value).toString("base64")}\n`;
  return (
    `---\napiVersion: v1\nkind: Secret\nmetadata: { name: ${name}, namespace: ${parts.namespace ?? "default"} }\n` +
    `type: Opaque\ndata:\n${line("tls.crt", parts.certificate)}${line("tls.key", parts.privateKey)}${line("ca.crt", parts.ca)}${line("crl.pem", parts.crl)}`
  );
}

export function mappingYaml(name: string, spec: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "Mapping", metadata: { name }, spec })}\n`;
}

export function tlsContextYaml(name: string, spec: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "TLSContext", metadata: { name }, spec })}\n`;
}

export function moduleYaml(config: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "Module", metadata: { name: "ambassador" }, spec: { config } })}\n`;
}
