import { Type } from "typebox";
import { doc, flag, text } from "./field-doc.ts";
import { IDENTITY } from "./tls-identity.ts";
import { VERIFY } from "./tls-verify.ts";

/** Fields of a TLSContext (reference §2.3); one that ends TLS has `hosts`, one for upstreams need not. */
export const TLS_CONTEXT_FIELDS = {
  hosts: Type.Optional(
    Type.Array(
      Type.String(),
      doc({
        is: "a list of host names",
        does: "The names that are served over TLS with this context, as they are, as `*.name`, or `*` for any.",
        byDefault: "none: the context is for upstreams",
        example: ["shop.example.com"],
      }),
    ),
  ),
  secret: text({
    is: "the name of a Secret",
    does: "The certificate and key that are shown; a `ca.crt` beside them is the CA that upstreams are verified by.",
    example: "upstream-certs",
    note: "`name.namespace` names a Secret of another namespace, unless secret_namespacing is false.",
  }),
  ca_secret: text({
    is: "the name of a Secret",
    does: "The CA that the peer's certificate is verified by: the upstream's, or with `hosts` the clients'.",
    example: "upstream-ca",
    note: "Read from `ca.crt` or `root-cert.pem`, else from `tls.crt`.",
  }),
  cert_chain_file: text({
    is: "a path",
    does: "A file with the certificate and its chain as PEM, instead of `secret`; followed as it changes.",
    example: "/etc/certs/tls.crt",
  }),
  private_key_file: text({
    is: "a path",
    does: "A file with the key of cert_chain_file as PEM.",
    example: "/etc/certs/tls.key",
  }),
  cacert_chain_file: text({
    is: "a path",
    does: "A file with the CA as PEM, instead of `ca_secret`.",
    example: "/etc/certs/ca.crt",
  }),
  verify: VERIFY,
  identity: IDENTITY,
  alpn_protocols: text({
    is: "protocol names, separated by commas",
    does: "The application protocols that are offered, or with `hosts` accepted, in order of preference.",
    byDefault: "http/1.1",
    example: "http/1.1",
    note: "h2 is left out, with a warning, by an engine that does not speak HTTP/2.",
  }),
  ocsp_staple_file: text({
    is: "a path",
    does: "With `hosts`: a file with an OCSP response as DER, which clients that ask for it are sent with the certificate.",
    example: "/etc/certs/tls.ocsp",
    note: "Followed as it changes; sent while it is in its dates.",
  }),
  cert_required: flag({
    does: "With `hosts`: a client without a certificate of the CA is refused in the handshake.",
    byDefault: "false: one that is shown must be of the CA, and none need be shown",
    note: "Means nothing towards upstreams.",
  }),
  min_tls_version: text({
    is: "a TLS version",
    does: "The oldest version that is spoken: v1.0, v1.1, v1.2 or v1.3.",
    byDefault: "v1.2",
    example: "v1.2",
  }),
  max_tls_version: text({
    is: "a TLS version",
    does: "The newest version that is spoken: v1.0, v1.1, v1.2 or v1.3.",
    byDefault: "v1.3",
    example: "v1.3",
  }),
  cipher_suites: Type.Optional(
    Type.Array(
      Type.String({ minLength: 1 }),
      doc({
        is: "a list of cipher names",
        does: "The cipher suites, in order of preference, by OpenSSL's names; those of TLS 1.3 by IANA's.",
        byDefault: "OpenSSL's of security level 2, AES-128 first",
        example: ["ECDHE-ECDSA-AES128-GCM-SHA256"],
      }),
    ),
  ),
  ecdh_curves: Type.Optional(
    Type.Array(
      Type.String({ minLength: 1 }),
      doc({
        is: "a list of group names",
        does: "The key exchange groups, in order of preference.",
        byDefault: "X25519MLKEM768, X25519, P-256, P-384",
        example: ["X25519MLKEM768", "X25519"],
      }),
    ),
  ),
  sni: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9_.-]{1,253}$",
      ...doc({
        is: "a host name in ASCII (`xn--…`)",
        does: "The server name that is sent to upstreams, and the name that their certificate must have.",
        byDefault: "the host of the Mapping's service",
        example: "quote.internal.example",
      }),
    }),
  ),
  redirect_cleartext_from: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65535,
      ...doc({
        is: "a port number",
        does: "With `hosts`: cleartext requests on this port are redirected to https; 8080 is the http listener.",
        byDefault: "cleartext requests for these names get 400",
        example: 8080,
      }),
    }),
  ),
  secret_namespacing: flag({
    does: "Reads `a.b` as the Secret `a` of namespace `b`; false: as a name with a dot in it.",
    byDefault: "the Module's defaults.tls_secret_namespacing, else true",
  }),
};

/** What of it decides who is trusted, and with what: a misspelt one is not taken for one that was left out. */
export const GUARDING_TLS_FIELDS: readonly string[] = [
  "ca_secret",
  "cert_chain_file",
  "private_key_file",
  "cacert_chain_file",
  "identity",
  "verify",
  "cert_required",
  "min_tls_version",
];
