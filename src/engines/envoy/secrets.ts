import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Credential, CredentialReader, TrustBundle } from "../../credentials/credential.ts";
import { SecretSchema } from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { resource, type XdsResource } from "./resources.ts";

/** Names of SDS secrets: `credential:NAME` (certificate and key) and `trust:NAME` (trusted CAs). */
export function secretName(kind: "credential" | "trust", name: string): string {
  return `${kind}:${name}`;
}

/**
 * SDS: the secrets of these names that the store has now, sorted. A name that it does not have is left out: the model never
 * names one then, and a client that asks is told that it is removed. Key bytes pass through to the stream and are kept nowhere else.
 */
export function translateSecrets(names: Iterable<string>, store: CredentialReader): XdsResource<"secret">[] {
  return [...new Set(names)].sort().flatMap((name) => {
    const colon = name.indexOf(":");
    const [kind, key] = [name.slice(0, colon), name.slice(colon + 1)];
    const held =
      kind === "trust" ? store.trust(key) : kind === "credential" ? store.credential(key) : undefined;
    if (held === undefined) return [];
    const known = TRANSLATED.get(held);
    if (known !== undefined) return [known];
    const type = "privateKey" in held ? certificate(held) : anchors(held);
    if (type === null) return [];
    // Whoever names a secret is told of a NACK by the listener or cluster that it is for; the credential's name says the rest.
    const made = resource("secret", name, create(SecretSchema, { name, type }), [key]);
    TRANSLATED.set(held, made);
    return [made];
  });
}

/** What the store holds is a new object with each generation: a thousand that stay are not translated and encoded again for one that changes. */
const TRANSLATED = new WeakMap<Credential | TrustBundle, XdsResource<"secret">>();

type SecretType = NonNullable<MessageInitShape<typeof SecretSchema>["type"]>;

function certificate({ certificateChain, privateKey }: Credential): SecretType {
  return {
    case: "tlsCertificate",
    value: { certificateChain: inline(certificateChain), privateKey: inline(privateKey) },
  };
}

/** null: an empty bundle would mean that nothing is verified. */
function anchors({ anchors }: TrustBundle): SecretType | null {
  if (anchors.length === 0) return null;
  return { case: "validationContext", value: { trustedCa: inline(anchors.join("\n")) } };
}

function inline(text: string): { specifier: { case: "inlineBytes"; value: Uint8Array } } {
  return { specifier: { case: "inlineBytes", value: ENCODER.encode(text) } };
}

const ENCODER = new TextEncoder();
