import { type Static, Type } from "typebox";
import { block, doc, text } from "./field-doc.ts";

/** A Unix socket's path; 107 bytes is what Linux takes. Without `?` and `+`, which end it in names. */
const SOCKET = { pattern: "^(?:unix:(?://)?)?/[!-*,->@-~]{1,106}$" };
const SPIFFE_ID = "^spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)*$";
const TRUST_DOMAIN = "^[a-z0-9._-]{1,255}$";

/** `identity` of a TLSContext: who issues key, chain and CA, in place of `secret` and the rest. */
export const IDENTITY = Type.Optional(
  Type.Object(
    {
      spiffe: block(
        {
          socket: Type.Optional(
            Type.String({
              ...SOCKET,
              ...doc({
                is: "the path of a Unix socket, as /path or unix:///path",
                does: "Where the agent serves the SPIFFE Workload API.",
                byDefault: "the environment's SPIFFE_ENDPOINT_SOCKET",
                example: "/run/spire/sockets/agent.sock",
              }),
            }),
          ),
          id: Type.Optional(
            Type.String({
              pattern: SPIFFE_ID,
              ...doc({
                is: "a SPIFFE ID",
                does: "Which of the identities that the agent has for this gateway is taken.",
                byDefault: "the first",
                example: "spiffe://example.org/gateway",
              }),
            }),
          ),
          hint: text({
            is: "a hint, as the agent's operator wrote it",
            does: "The same, by the hint that the agent gives with it.",
            example: "external",
          }),
          federated: Type.Optional(
            Type.Array(
              Type.String({ pattern: TRUST_DOMAIN }),
              doc({
                is: "a list of trust domains",
                does: "Peers of these are trusted too, each by the CAs that the agent has for its own domain.",
                byDefault: "none: the own trust domain alone",
                example: ["partner.example"],
              }),
            ),
          ),
        },
        { is: "a map of socket, id, hint and federated", does: "The SPIFFE Workload API." },
      ),
      istio_sds: block(
        {
          socket: Type.String({
            ...SOCKET,
            ...doc({
              is: "the path of a Unix socket, as /path or unix:///path",
              does: "Where Istio's agent serves secrets (SDS).",
              example: "/var/run/secrets/workload-spiffe-uds/socket",
            }),
          }),
          certificate: text({
            is: "the name of a resource",
            does: "The certificate and key that are asked for.",
            byDefault: "default",
            example: "default",
          }),
          ca: text({
            is: "the name of a resource",
            does: "The CA that is asked for.",
            byDefault: "ROOTCA",
            example: "ROOTCA",
          }),
        },
        { is: "a map of socket, certificate and ca", does: "Istio's agent." },
      ),
      consul: block(
        {
          resolver: Type.String({
            minLength: 1,
            ...doc({
              is: "the name of a ConsulResolver",
              does: "Whose agent issues the leaf certificate and has the roots.",
              example: "consul-dc1",
            }),
          }),
          service: text({
            is: "the name of a service",
            does: "The service that this gateway is to Consul.",
            byDefault: "ambassador",
            example: "gateway",
          }),
        },
        { is: "a map of resolver and service", does: "Consul Connect." },
      ),
    },
    {
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
      ...doc({
        is: "exactly one of spiffe, istio_sds and consul",
        does: "Who issues the certificate, its key and the CA, instead of `secret`, `ca_secret` and files.",
        example: { spiffe: { socket: "/run/spire/sockets/agent.sock" } },
        note: "Renewed without anything being compiled; with `hosts`, clients are checked where cert_required is set.",
      }),
    },
  ),
);

export type TlsIdentity = Exclude<Static<typeof IDENTITY>, undefined>;

/** The default of `consul.service`, as Ambassador registers itself. */
export const CONSUL_SERVICE = "ambassador";

/** The defaults of `istio_sds`: what Istio's agent calls its workload's certificate and the mesh's CA. */
export const ISTIO_CERTIFICATE = "default";
export const ISTIO_CA = "ROOTCA";

/** What stands for the socket in the name of an identity that does not say its own. */
const SOCKET_OF_ENVIRONMENT = "/$SPIFFE_ENDPOINT_SOCKET";

/** The store's name for what an issuer delivers: the same for whoever asks for the same. */
export function identityName({ spiffe, istio_sds, consul }: TlsIdentity): string {
  if (spiffe !== undefined) {
    const federated = [...new Set(spiffe.federated ?? [])].sort().join(",");
    const { socket = SOCKET_OF_ENVIRONMENT, id, hint } = spiffe;
    return `spiffe${socketPath(socket)}${query({ id, hint, federated })}`;
  }
  if (istio_sds !== undefined) {
    const { socket, certificate = ISTIO_CERTIFICATE, ca = ISTIO_CA } = istio_sds;
    return `istio${socketPath(socket)}${query({ certificate, ca })}`;
  }
  const { resolver = "", service = CONSUL_SERVICE } = consul ?? {};
  return `consul/${resolver}/${service}`;
}

/** Whether a name of the store is one of these: somebody has to be asked before it holds anything. */
export function isIssued(name: string): boolean {
  return /^(?:spiffe|istio|consul)\//.test(name);
}

/** Whether it is a name of an identity in Consul Connect. */
export function isOfConsul(name: string): boolean {
  return name.startsWith("consul/");
}

/** Without the scheme: `/run/agent.sock`. */
export function socketPath(socket: string): string {
  return socket.replace(/^unix:(?:\/\/)?/, "");
}

function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const said = Object.entries(parameters).flatMap(([key, value = ""]) =>
    value === ""
      ? []
      : `${key}=${encodeURIComponent(value).replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%2C", ",")}`,
  );
  return said.length === 0 ? "" : `?${said.join("&")}`;
}
