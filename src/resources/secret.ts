import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import { type RawObject, subjectOf } from "./resource.ts";

/** What a Secret holds for TLS. Key bytes: goes to the credential store, never into a ResourceSet. */
export interface SecretMaterial {
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  readonly crl?: string;
}

/** The store's name for a Secret. */
export function secretCredentialName(namespace: string, name: string): string {
  return `secret/${namespace}/${name}`;
}

/** Reads a Kubernetes Secret (reference §2.4). Null where it is none that TLS could use. */
export function parseSecret(
  identity: { namespace: string; name: string },
  object: Readonly<Record<string, unknown>>,
  raw: RawObject,
): { material: SecretMaterial | null; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Secret", ...identity });
  const type = object.type ?? "Opaque";
  if (typeof type === "string" && OTHER_TYPES.has(type)) return { material: null, diagnostics: [] };
  if (typeof type !== "string" || !TYPES.has(type)) {
    const source = raw.fields.get("type") ?? raw.source;
    const message = `Secrets of type ${JSON.stringify(type)} hold no certificate`;
    return {
      material: null,
      diagnostics: [diagnose("secret-type-unsupported", { subject, source, message })],
    };
  }
  const values = new Map<string, string>();
  const diagnostics: Diagnostic[] = [];
  const invalid = (field: string, why: string): void => {
    const source = raw.fields.get(field.split(".")[0] as string) ?? raw.source;
    diagnostics.push(diagnose("secret-data-invalid", { subject, source, message: `${field} ${why}` }));
  };
  for (const [section, decode] of [["data", decodeBase64] as const, ["stringData", asText] as const]) {
    const entries = object[section];
    if (entries === undefined || entries === null) continue;
    if (!isRecord(entries)) {
      invalid(section, "must be a map");
      return { material: { certificateChain: "" }, diagnostics };
    }
    for (const [key, value] of Object.entries(entries)) {
      const decoded = decode(value);
      if (decoded === null)
        invalid(`${section}.${key}`, section === "data" ? "is not base64" : "is not text");
      // What cannot be read is there all the same: a CA that counted as not given would turn verification off.
      values.set(key, decoded ?? "");
    }
  }
  const pick = (...keys: string[]): string | undefined =>
    keys.map((key) => values.get(key)).find((value) => value !== undefined);
  const certificateChain = pick("tls.crt", "cert-chain.pem");
  const privateKey = pick("tls.key", "key.pem");
  const trustAnchors = pick("ca.crt", "root-cert.pem");
  const crl = pick("crl.pem");
  if ([certificateChain, privateKey, trustAnchors, crl].every((part) => part === undefined))
    return { material: null, diagnostics };
  return {
    material: {
      ...(certificateChain === undefined ? {} : { certificateChain }),
      ...(privateKey === undefined ? {} : { privateKey }),
      ...(trustAnchors === undefined ? {} : { trustAnchors }),
      ...(crl === undefined ? {} : { crl }),
    },
    diagnostics,
  };
}

const TYPES = new Set(["Opaque", "kubernetes.io/tls", "istio.io/key-and-cert"]);
/** They come along where all of a cluster is written to a file, and are nobody's slip of the pen. */
const OTHER_TYPES = new Set([
  "kubernetes.io/service-account-token",
  "kubernetes.io/dockerconfigjson",
  "kubernetes.io/dockercfg",
  "kubernetes.io/basic-auth",
  "kubernetes.io/ssh-auth",
  "bootstrap.kubernetes.io/token",
  "helm.sh/release.v1",
]);

/** Strict: what decoders would repair differently is refused. Line breaks inside are usual in YAML block scalars. */
function decodeBase64(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const compact = value.replace(/\s+/g, "");
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) return null;
  return Buffer.from(compact, "base64").toString("latin1");
}

function asText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
