import { getCiphers } from "node:tls";
import type { KnownCode } from "../diagnostics/catalogue.ts";
import { type EngineName, limitOf } from "../model/capabilities.ts";
import type { TlsParameters, TlsVersion } from "../model/tls.ts";
import { untranslatable } from "../model/tls-capabilities.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";

/** What a context says of versions, cipher suites, groups and protocols. What is not known, or not to the engine, is reported. */
export function compileParameters(
  resource: TlsContextResource,
  engine: EngineName,
  report: (code: KnownCode, field: string, message: string) => void,
): TlsParameters {
  const { spec } = resource;
  const version = (field: "min_tls_version" | "max_tls_version", byDefault: TlsVersion): TlsVersion => {
    const written = spec[field];
    if (written === undefined) return byDefault;
    if (!VERSIONS.includes(written as TlsVersion)) {
      report("tls-version-unknown", field, `${written} is no TLS version`);
      return byDefault;
    }
    if (written === "v1.0" || written === "v1.1")
      report("tls-version-obsolete", field, `TLS ${written} is obsolete (RFC 8996)`);
    return written as TlsVersion;
  };
  const maxVersion = version("max_tls_version", "v1.3");
  // A maximum below 1.2 says that older versions are meant.
  const minVersion = version("min_tls_version", VERSIONS.indexOf(maxVersion) < 2 ? maxVersion : "v1.2");
  if (VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    report(
      "tls-version-unknown",
      "min_tls_version",
      `the minimum ${minVersion} is above the maximum ${maxVersion}`,
    );
  }
  const cipherSuites = spec.cipher_suites ?? [];
  for (const cipher of cipherSuites) {
    if (!CIPHERS.has(cipher.toLowerCase()))
      report("tls-cipher-unknown", "cipher_suites", `${cipher} is no cipher that is known here`);
  }
  // Envoy refuses a list with one of them twice, under whatever name, and with it the certificate that is served with it.
  const named = (spec.ecdh_curves ?? []).map((group) => ALSO_CALLED.get(group) ?? group);
  const groups = (spec.ecdh_curves ?? []).filter((_, index) => named.indexOf(named[index] ?? "") === index);
  for (const group of groups) {
    if (!GROUPS.has(group))
      report("tls-group-unknown", "ecdh_curves", `${group} is no key exchange group that is known here`);
  }
  const written = (spec.alpn_protocols ?? "")
    .split(",")
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== "");
  const limit = limitOf(engine, "h2-clients");
  const alpn = limit === null ? written : written.filter((protocol) => protocol !== "h2");
  if (limit !== null && alpn.length < written.length) {
    report("alpn-h2-not-supported", "alpn_protocols", limit.message);
    if (alpn.length === 0)
      report("tls-context-invalid", "alpn_protocols", "h2 is the only protocol, and it is not spoken");
  }
  if (!fitsHandshake(written))
    report(
      "tls-context-invalid",
      "alpn_protocols",
      "a protocol's name has no more than 255 bytes, and all of them no more than 65535",
    );
  const parameters = { minVersion, maxVersion, cipherSuites, groups, alpn };
  // What nobody knows has been said above.
  const known = {
    ...parameters,
    cipherSuites: cipherSuites.filter((cipher) => CIPHERS.has(cipher.toLowerCase())),
    groups: groups.filter((group) => GROUPS.has(group)),
  };
  for (const { parameter, message } of engine === "envoy" ? untranslatable(known) : [])
    report("tls-engine-cannot", WRITTEN_AS[parameter], message);
  return parameters;
}

/** RFC 7301 §3.1: one byte for the length of a name, two for that of the list. */
function fitsHandshake(protocols: readonly string[]): boolean {
  const lengths = protocols.map((protocol) => Buffer.byteLength(protocol));
  return Math.max(0, ...lengths) < 2 ** 8 && lengths.reduce((sum, length) => sum + length + 1, 0) < 2 ** 16;
}

const WRITTEN_AS = { cipherSuites: "cipher_suites", groups: "ecdh_curves" } as const;
const VERSIONS: readonly TlsVersion[] = ["v1.0", "v1.1", "v1.2", "v1.3"];
const ALSO_CALLED: ReadonlyMap<string, string> = new Map([
  ["prime256v1", "P-256"],
  ["secp384r1", "P-384"],
  ["secp521r1", "P-521"],
]);
const CIPHERS = new Set(getCiphers().map((name) => name.toLowerCase()));
const GROUPS = new Set(
  "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 X25519 X448 P-256 P-384 P-521 prime256v1 secp384r1 secp521r1".split(
    " ",
  ),
);
