import { type Static, Type } from "typebox";
import { doc, oneOf, text } from "./field-doc.ts";

/** SPIFFE-ID §2. */
const SPIFFE_ID_IS =
  "`spiffe://`, a trust domain in lower case, and segments of letters, digits, `.`, `_` and `-`, none of them empty";

/** `verify` of a TLSContext: what a peer's certificate must have beside a chain to the CA, whichever side it is. */
export const VERIFY = Type.Optional(
  Type.Object(
    {
      dns_names: Type.Optional(
        Type.Array(
          Type.String({
            pattern: "^(?:\\*\\.)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$",
            description: "a host name in ASCII (`xn--…`), or `*.` and the end of one",
          }),
          {
            minItems: 1,
            ...doc({
              is: "a list of host names, or of `*.` and the end of one",
              does: "DNS names of which the certificate must have one; `*.example.com` takes any name below it.",
              byDefault: "the name that is dialled (`sni`, else the service's host); of clients, any",
              example: ["*.mesh.example"],
            }),
          },
        ),
      ),
      spiffe_ids: Type.Optional(
        Type.Array(
          Type.String({
            pattern: "^spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)*$",
            description: SPIFFE_ID_IS,
          }),
          {
            minItems: 1,
            ...doc({
              is: "a list of SPIFFE IDs",
              does: "SPIFFE IDs of which the certificate's must be one.",
              example: ["spiffe://cluster.local/ns/shop/sa/cart"],
              note: "With trust_domains, each must lie in one of them.",
            }),
          },
        ),
      ),
      trust_domains: Type.Optional(
        Type.Array(
          Type.String({
            pattern: "^[a-z0-9._-]{1,255}$",
            description: "a trust domain: lower case, without `spiffe://`",
          }),
          {
            minItems: 1,
            ...doc({
              is: "a list of trust domains, without `spiffe://`",
              does: "Trust domains of which the certificate's SPIFFE ID must be.",
              byDefault: "between SPIFFE identities, the own trust domain",
              example: ["cluster.local"],
            }),
          },
        ),
      ),
      spki_sha256: Type.Optional(
        Type.Array(
          Type.String({
            pattern: "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
            description: "44 characters of base64",
          }),
          {
            minItems: 1,
            ...doc({
              is: "a list of SHA-256 digests in base64",
              does: "Pins: digests of public keys (SubjectPublicKeyInfo) of which one must be the certificate's.",
              example: ["r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E="],
            }),
          },
        ),
      ),
      crl_file: text({
        is: "a path",
        does: "A file with revocation lists as PEM, one of each CA of the chain; followed as it changes.",
        example: "/etc/certs/crl.pem",
      }),
      crl_secret: text({
        is: "the name of a Secret",
        does: "The same, from `crl.pem` of a Secret.",
        example: "upstream-crl",
      }),
      crl_policy: oneOf(["require", "allow-stale", "allow-missing"], {
        does: "What is refused: peers of a CA without a list that is in its dates; or only those of a CA without any; or only what a list names.",
        byDefault: "require",
        example: "allow-stale",
        note: "Beside `identity.spiffe` without crl_file and crl_secret: by the lists that the agent sends.",
      }),
      max_depth: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 10,
          ...doc({
            is: "a whole number from 0 to 10",
            does: "How many intermediates there may be between the certificate and the CA.",
            example: 1,
          }),
        }),
      ),
    },
    {
      additionalProperties: false,
      minProperties: 1,
      ...doc({
        is: "a map of dns_names, spiffe_ids, trust_domains, spki_sha256, crl_file, crl_secret, crl_policy and max_depth",
        does: "Rules for the peer's certificate beside its chain to the CA: of upstreams, or with `hosts` of clients.",
        example: { trust_domains: ["cluster.local"] },
        note: "All must hold. Names, IDs and domains are alternatives to each other, and come instead of the dialled name.",
      }),
    },
  ),
);

export type TlsVerify = Exclude<Static<typeof VERIFY>, undefined>;
