import type { Environment } from "../mesh/consul/agent.ts";
import type { GroupBounds } from "./group-bounds.ts";

/**
 * What of the environment goes into questions to a Consul at `address`. Token and client certificate are the operator's, and
 * a group of a fleet chooses addresses itself: its own resolvers get them only at the address that CONSUL_HTTP_ADDR names,
 * and put no other variable into an address.
 */
export function consulEnvironment(
  address: string,
  { namespaces, consulServices }: GroupBounds,
  env: Environment = process.env,
): Environment {
  if (namespaces === undefined && consulServices === undefined) return env;
  const { CONSUL_HTTP_ADDR } = env;
  const isOperators =
    CONSUL_HTTP_ADDR !== undefined &&
    (address === CONSUL_HTTP_ADDR || /^\$(?:CONSUL_HTTP_ADDR|\{CONSUL_HTTP_ADDR\})$/.test(address));
  const names = isOperators ? [...PUBLIC, ...PRIVATE] : PUBLIC;
  return Object.fromEntries(names.map((name) => [name, env[name]]));
}

const PUBLIC = ["CONSUL_HTTP_ADDR", "CONSUL_HTTP_SSL", "CONSUL_CACERT", "CONSUL_NAMESPACE"];
const PRIVATE = [
  "CONSUL_HTTP_TOKEN",
  "CONSUL_HTTP_TOKEN_FILE",
  "CONSUL_HTTP_AUTH",
  "CONSUL_CLIENT_CERT",
  "CONSUL_CLIENT_KEY",
  "CONSUL_HTTP_SSL_VERIFY",
  "CONSUL_TLS_SERVER_NAME",
];
