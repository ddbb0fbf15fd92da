import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";

/** Consul's clients have their settings in it: CONSUL_HTTP_TOKEN and so on. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Why an agent cannot be asked, or what is wrong with its answer: one clause without secrets. */
export class AgentTrouble extends Error {}

/** Where an agent is. `place` is for messages; a socket has neither host nor port. */
export interface AgentAddress {
  readonly place: string;
  readonly isSecure: boolean;
  readonly socketPath: string | null;
  readonly host: string;
  readonly port: number;
}

/** The Unix socket that an address leads to; null: none. */
export function agentSocket(address: string, env: Environment): string | null {
  try {
    return agentAddress(address, env).socketPath;
  } catch {
    return null;
  }
}

/** Throws AgentTrouble. */
export function agentAddress(written: string, env: Environment): AgentAddress {
  const address = expanded(written, env);
  const place = `Consul at ${address}`;
  if (/^unix:\/\//.test(address)) {
    return {
      place,
      isSecure: false,
      socketPath: address.slice("unix://".length),
      host: "localhost",
      port: 0,
    };
  }
  const scheme = /^(https?):\/\//.exec(address)?.[1] ?? (isTrue(env.CONSUL_HTTP_SSL) ? "https" : "http");
  const authority = address.replace(/^https?:\/\//, "").replace(/\/$/, "");
  const url = URL.parse(`${scheme}://${authority}`);
  if (url === null || url.host === "" || url.pathname !== "/" || url.username !== "" || url.search !== "")
    throw new AgentTrouble(`${JSON.stringify(address)} is no address of an agent`);
  const isSecure = scheme === "https";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { place, isSecure, socketPath: null, host, port: Number(url.port) || (isSecure ? 443 : 80) };
}

/** The file wins, as in Consul's client. Throws AgentTrouble. */
export function tokenOf(env: Environment): string {
  const file = env.CONSUL_HTTP_TOKEN_FILE ?? "";
  return (
    (file === "" ? "" : readText(file, "CONSUL_HTTP_TOKEN_FILE").trim()) || (env.CONSUL_HTTP_TOKEN ?? "")
  );
}

/** For agents that are asked by https. Throws AgentTrouble. */
export function tlsOf(env: Environment): SecureContextOptions & {
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
} {
  const file = (name: string): string | undefined =>
    (env[name] ?? "") === "" ? undefined : readText(env[name] as string, name);
  const [ca, cert, key] = [file("CONSUL_CACERT"), file("CONSUL_CLIENT_CERT"), file("CONSUL_CLIENT_KEY")];
  return {
    rejectUnauthorized: (env.CONSUL_HTTP_SSL_VERIFY ?? "") === "" || isTrue(env.CONSUL_HTTP_SSL_VERIFY),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...((env.CONSUL_TLS_SERVER_NAME ?? "") === ""
      ? {}
      : { servername: env.CONSUL_TLS_SERVER_NAME as string }),
  };
}

/** Of each question, as parameters of its query. */
export function namespaceOf({
  CONSUL_NAMESPACE: ns = "",
  CONSUL_PARTITION: partition = "",
}: Environment): Record<string, string> {
  return { ...(ns === "" ? {} : { ns }), ...(partition === "" ? {} : { partition }) };
}

/** Go's strconv.ParseBool. */
function isTrue(text: string | undefined): boolean {
  return ["1", "t", "true"].includes((text ?? "").toLowerCase());
}

function readText(path: string, variable: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new AgentTrouble(
      `${variable}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`,
    );
  }
}

/** `$NAME` and `${NAME}` as Go's os.ExpandEnv, but that what is not set is no empty text. */
function expanded(written: string, env: Environment): string {
  return written.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, bare: string) => {
    const value = env[braced ?? bare];
    if (value === undefined) throw new AgentTrouble(`the environment has no ${braced ?? bare}`);
    return value;
  });
}
