import { isIP } from "node:net";
import { inAscii } from "../resources/host-name.ts";

export interface ParsedService {
  /** As written: `https`, `http`, or none. */
  readonly scheme: "https" | "http" | null;
  /** DNS name in lower case as written, or an address without brackets. */
  readonly host: string;
  /** Undefined: by the scheme, 80 or 443. */
  readonly port: number | undefined;
  /** A path stood behind the host; it means nothing here. */
  readonly hasPath: boolean;
}

/** Reads `[scheme://]host[:port]` (reference §2.2, faults mended). The string says what is wrong. */
export function parseService(service: string): ParsedService | string {
  const found = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)(.*)$/s.exec(service.trim());
  if (found === null) return "is empty";
  const scheme = found[1]?.toLowerCase() ?? null;
  if (scheme !== null && scheme !== "http" && scheme !== "https")
    return `has the unknown scheme ${scheme}://`;
  const authority = found[2] as string;
  const rest = found[3] as string;
  // An address of IPv6 may stand without brackets where no port follows.
  const split =
    isIP(authority) === 6
      ? [authority, authority, undefined]
      : /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::(.*))?$/.exec(authority);
  if (split === null) return "has no readable host";
  let host = (split[1] as string).toLowerCase();
  if (host.startsWith("[")) {
    host = host.slice(1, -1);
    if (isIP(host) !== 6) return `has the malformed address [${host}]`;
  } else if (isIP(host) === 0 && !DNS_NAME.test(host))
    return `has the malformed host ${JSON.stringify(host)}${inAscii(host)}`;
  host = host.replace(/\.$/, "");
  const portText = split[2];
  let port: number | undefined;
  if (portText !== undefined) {
    port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
    if (port < 1 || port > 65535) return `has the malformed port ${JSON.stringify(portText)}`;
  }
  return { scheme, host, port, hasPath: rest !== "" && rest !== "/" };
}

/** A short name in another namespace than the gateway's own means the service there: `svc` becomes `svc.N`. */
export function qualify(host: string, namespace: string): string {
  const short = isIP(host) === 0 && !host.includes(".") && host !== "localhost";
  return short && namespace !== OWN_NAMESPACE ? `${host}.${namespace}` : host;
}

/** Files have no namespace of their own to run in: `default` is 1.14's value of AMBASSADOR_NAMESPACE. */
const OWN_NAMESPACE = "default";
/** Underscores are no host names, and yet in many clusters. */
const DNS_NAME = /^(?=.{1,253}\.?$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*\.?$/;
