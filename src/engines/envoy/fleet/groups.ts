import { spiffeIdOf } from "../../../x509/spiffe.ts";

/** Envoys that get the same: who belongs to it, and which resources are theirs. */
export interface FleetGroup {
  readonly name: string;
  readonly match: IdentityMatch;
  /** Absent: of every namespace. */
  readonly namespaces?: readonly string[];
  /** Folders of the control plane's machine whose certificate files and sockets its resources may name. */
  readonly files?: readonly string[];
  /** Services that its resources may be to Consul. */
  readonly consulServices?: readonly string[];
  /** The control plane asks DNS rather than each of its Envoys. Absent: those do. */
  readonly resolvesNames?: true;
  /** Absent: that of the command line. */
  readonly ambassadorId?: string;
}

/** One of these is enough. */
export interface IdentityMatch {
  /** SPIFFE IDs; one that ends in `/*` means all below. */
  readonly spiffe: readonly string[];
  /** DNS names; `*.example.org` means all names of one label more. */
  readonly dns: readonly string[];
}

/** What a verified certificate says of its owner. Its subject is not among it: nobody vouches for that as a name. */
export interface FleetIdentity {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/** The first group, in the order in which they are written, that the identity belongs to; undefined: none. */
export function groupOf(identity: FleetIdentity, groups: readonly FleetGroup[]): FleetGroup | undefined {
  const spiffeId = spiffeIdOf(identity.uris);
  return groups.find(
    ({ match }) =>
      (spiffeId !== undefined && match.spiffe.some((pattern) => isSpiffeMatch(pattern, spiffeId))) ||
      match.dns.some((pattern) => identity.dnsNames.some((name) => isDnsMatch(pattern, name))),
  );
}

function isSpiffeMatch(pattern: string, id: string): boolean {
  if (!pattern.endsWith("/*")) return pattern === id;
  return id.startsWith(pattern.slice(0, -1));
}

function isDnsMatch(pattern: string, name: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), name.toLowerCase()];
  // A certificate for `*.x` is no name of a machine.
  if (given.includes("*")) return false;
  if (!wanted.startsWith("*.")) return wanted === given;
  const dot = given.indexOf(".");
  return dot > 0 && given.slice(dot) === wanted.slice(1);
}
