import type { Environment } from "../mesh/consul/agent-environment.ts";

/** Of the bounds of a group. */
interface ConsulBounds {
  readonly namespaces?: ReadonlySet<string>;
  readonly consulServices?: readonly string[];
}

/**
 * What of the environment goes into questions to a Consul at `address`. Token and client certificate are the operator's, and
 * a group of a fleet chooses addresses itself: its own resolvers get them only at the address that CONSUL_HTTP_ADDR names,
 * and put no other variable into an address.
 */
export function consulEnvironment(
  address: string,
  { namespaces, consulServices }: ConsulBounds,
  env: Environment = process.env,
): Environment {
  if (namespaces === undefined && consulServices === undefined) return env;
  const names = isOperatorsAgent(address, env) ? [...PUBLIC, ...PRIVATE] : PUBLIC;
  return Object.fromEntries(names.map((name) => [name, env[name]]));
}

/** Whether it is the agent that the operator named in the environment. */
export function isOperatorsAgent(address: string, { CONSUL_HTTP_ADDR }: Environment = process.env): boolean {
  return (
    CONSUL_HTTP_ADDR !== undefined &&
    (address === CONSUL_HTTP_ADDR || /^\$(?:CONSUL_HTTP_ADDR|\{CONSUL_HTTP_ADDR\})$/.test(address))
  );
}

const PUBLIC = [
  "CONSUL_HTTP_ADDR",
  "CONSUL_HTTP_SSL",
  "CONSUL_CACERT",
  "CONSUL_NAMESPACE",
  "CONSUL_PARTITION",
];
const PRIVATE = [
  "CONSUL_HTTP_TOKEN",
  "CONSUL_HTTP_TOKEN_FILE",
  "CONSUL_HTTP_AUTH",
  "CONSUL_CLIENT_CERT",
  "CONSUL_CLIENT_KEY",
  "CONSUL_HTTP_SSL_VERIFY",
  "CONSUL_TLS_SERVER_NAME",
];
