import { create } from "@bufbuild/protobuf";
import type { CredentialReader } from "../../credentials/credential.ts";
import {
  type Secret,
  SecretSchema,
} from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
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
    const message = secret(name, store);
    // Whoever names a secret is told of a NACK by the listener or cluster that it is for; the credential's name says the rest.
    return message === null ? [] : [resource("secret", name, message, [name.slice(name.indexOf(":") + 1)])];
  });
}

function secret(name: string, store: CredentialReader): Secret | null {
  const colon = name.indexOf(":");
  const [kind, key] = [name.slice(0, colon), name.slice(colon + 1)];
  if (kind === "credential") {
    const credential = store.credential(key);
    if (credential === undefined) return null;
    const { certificateChain, privateKey } = credential;
    return create(SecretSchema, {
      name,
      type: {
        case: "tlsCertificate",
        value: { certificateChain: inline(certificateChain), privateKey: inline(privateKey) },
      },
    });
  }
  // An empty bundle would mean that nothing is verified.
  const anchors = kind === "trust" ? (store.trust(key)?.anchors ?? []) : [];
  if (anchors.length === 0) return null;
  return create(SecretSchema, {
    name,
    type: { case: "validationContext", value: { trustedCa: inline(anchors.join("\n")) } },
  });
}

function inline(text: string): { specifier: { case: "inlineBytes"; value: Uint8Array } } {
  return { specifier: { case: "inlineBytes", value: ENCODER.encode(text) } };
}

const ENCODER = new TextEncoder();
