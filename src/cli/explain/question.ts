import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { Question } from "../../engines/node/explain.ts";
import type { Listener } from "../../model/listener.ts";
import { parsePem } from "../../x509/pem.ts";

/** Why there is no question: `misuse` of the command line, or nobody who would hear it. */
export interface NoQuestion {
  readonly problem: string;
  readonly misuse: boolean;
}

/** What the command line says of a request. */
export function askQuestion(
  method: string,
  url: string,
  flags: { readonly header: readonly string[]; readonly fromCert?: string; readonly fromAddress: string },
  listeners: readonly Listener[],
): Question | NoQuestion {
  const target = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url);
  if (target === null || !URL.canParse(url)) return misuse(`${url} is no http:// or https:// URL`);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return misuse(`${method} is no HTTP method`);
  const scheme = (target[1] as string).toLowerCase();
  const authority = target[2] as string;
  if (isIP(flags.fromAddress) === 0) return misuse(`--from-address ${flags.fromAddress} is no IP address`);
  const wrong = flags.header.find((line) => !/^[^\s:]+:/.test(line) || /[\r\n]/.test(line));
  if (wrong !== undefined) return misuse(`-H '${wrong}' is no 'Name: value'`);
  const port = /:(\d+)$/.exec(authority)?.[1];
  const listener = listenerOf(scheme, port, listeners);
  if (listener === undefined)
    return { problem: `nothing is served by ${scheme}: no TLSContext or Host asks for it`, misuse: false };
  const certificates = flags.fromCert === undefined ? [] : readCertificates(flags.fromCert);
  if (typeof certificates === "string") return misuse(certificates);
  const hostname = authority.replace(/:\d+$/, "").toLowerCase().replace(/\.$/, "");
  const ownHost = flags.header.some((line) => /^host\s*:/i.test(line));
  // As written, not as URL would tidy it up: dot segments and odd escapes are what one may want to ask about.
  const path = (target[3] as string).startsWith("/") ? (target[3] as string) : `/${target[3]}`;
  const lines = [`${method} ${path} HTTP/1.1`, ...(ownHost ? [] : [`host: ${authority}`]), ...flags.header];
  return {
    listener,
    // RFC 6066 §3: an address is no server name.
    serverName: isIP(hostname.replace(/^\[|\]$/g, "")) === 0 ? hostname : null,
    head: lines.map((line) => `${line}\r\n`).join(""),
    remoteAddress: flags.fromAddress,
    clientCertificates: certificates,
  };
}

function misuse(problem: string): NoQuestion {
  return { problem, misuse: true };
}

/** The listener of the URL's port, where one has it; else that of its scheme: a load balancer may have another port. */
function listenerOf(
  scheme: string,
  port: string | undefined,
  listeners: readonly Listener[],
): Listener | undefined {
  const transport = scheme === "https" ? "tls" : "cleartext";
  const fitting = listeners.filter((listener) => listener.transport === transport);
  const byPort = fitting.find((listener) => String(listener.port) === port);
  return byPort ?? fitting.find(({ action }) => action === "serve");
}

function readCertificates(file: string): X509Certificate[] | string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return `--from-cert ${file}: ${(error as NodeJS.ErrnoException).code ?? "cannot be read"}`;
  }
  const parsed = parsePem(text);
  if (!parsed.ok) return `--from-cert ${file} is not PEM: ${parsed.reason}`;
  try {
    const found = parsed.blocks
      .filter(({ label }) => label === "CERTIFICATE")
      .map((block) => new X509Certificate(block.text));
    return found.length > 0 ? found : `--from-cert ${file} holds no certificate`;
  } catch {
    return `--from-cert ${file} has a block that is no X.509 certificate`;
  }
}
