import { createAuthority, type IssuedCertificate } from "../../x509/authority.ts";

export type KeyKind = "ec" | "rsa" | "ed25519";

export interface PkiOptions {
  /** Of the server's certificate; the first is its common name. */
  readonly dnsNames: readonly string[];
  /** One certificate each, for either side, with no other name (X509-SVID §2). */
  readonly spiffeIds: readonly string[];
  /** Until the leaves end; the CAs last ten years or as long. */
  readonly days: number;
  readonly keyType: KeyKind;
}

export interface DevelopmentPki {
  /** PEM. */
  readonly root: string;
  readonly intermediate: string;
  readonly identities: readonly DevelopmentIdentity[];
}

export interface DevelopmentIdentity extends IssuedCertificate {
  /** `server`, `client`, or after the SPIFFE ID's last part; each once. */
  readonly name: string;
  readonly side: "server" | "client" | "both";
}

/** A root, an issuer below it, a server, a client and workloads. The CAs' keys are never written and end with the process. */
export async function createPki({ dnsNames, spiffeIds, days, keyType }: PkiOptions): Promise<DevelopmentPki> {
  const root = await createAuthority("Credence development root", Math.max(days + 1, CA_DAYS));
  const issuing = await root.issueAuthority("Credence development issuer");
  const leaf = { keyType, notAfter: new Date(Date.now() + days * DAY_MS) };
  const local = dnsNames.includes("localhost") ? ["127.0.0.1", "::1"] : [];
  const issue = async (
    name: string,
    side: DevelopmentIdentity["side"],
    names: Omit<Parameters<typeof issuing.issue>[0], "usage">,
  ): Promise<DevelopmentIdentity> => ({
    name,
    side,
    ...(await issuing.issue({ ...leaf, ...names, usage: side })),
  });
  const identities = [
    await issue("server", "server", { commonName: dnsNames[0] ?? "server", dnsNames, ipAddresses: local }),
    await issue("client", "client", { commonName: "client", dnsNames: ["client"] }),
  ];
  const taken = new Set(["server", "client", "root", "intermediate"]);
  for (const id of spiffeIds) {
    const name = freeName(id, taken);
    identities.push(await issue(name, "both", { commonName: name, uris: [id] }));
  }
  return { root: root.certificate, intermediate: issuing.certificate, identities };
}

/** `spiffe://dev/ns/shop/sa/Cart` is `cart`, a second one `cart-2`. */
function freeName(id: string, taken: Set<string>): string {
  const last = (id.split("/").at(-1) ?? "")
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const wished = last === "" ? "workload" : last;
  let name = wished;
  for (let count = 2; taken.has(name); count++) name = `${wished}-${count}`;
  taken.add(name);
  return name;
}

const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3650;
