import type { HandshakeReason } from "../diagnostics/handshake.ts";
import { contextParameters } from "../model/openssl.ts";
import type { TlsParameters } from "../model/tls.ts";
import type { DialOutcome } from "./dial.ts";
import type { Offer } from "./offer.ts";
import { groupName, isGrease, signatureName, suiteName, versionName } from "./wire/names.ts";
import type { Transcript } from "./wire/transcript.ts";

/** What both sides did not agree on, found by offering more of one thing at a time. */
export interface Disagreement {
  readonly reason: HandshakeReason;
  /** What the peer took once it was offered; null: it is not about a choice. */
  readonly takes: string | null;
  readonly says: string;
}

/** Makes a handshake for the sake of knowing: nothing is presented, and nothing but the handshake is sent. */
export type Attempt = (offer: Offer) => Promise<DialOutcome>;

/**
 * A peer that takes nothing of an offer has one alert for all of it. So it is dialled again with all that OpenSSL has, old
 * and weak included, then with more of one thing alone. Such connections end with the handshake: nobody is trusted on
 * them, our certificate is not shown, and no byte of a request is sent.
 */
export async function findDisagreement(
  base: Offer,
  hello: Transcript["clientHello"],
  attempt: Attempt,
): Promise<Findings> {
  const bare: Offer = { ...base, certificate: null };
  const pinned = pin(bare, hello);
  const everything = DIMENSIONS.reduce((offer, dimension) => dimension.widen(offer), pinned);
  const best = await attempt(everything);
  if (!agreed(best)) return otherwise(bare, everything, attempt);
  const chain = best.transcript.serverChain;
  const found: Disagreement[] = [];
  for (const dimension of DIMENSIONS) {
    const outcome = await attempt(dimension.widen(pinned));
    if (agreed(outcome)) found.push(dimension.disagreement(outcome.transcript, bare.parameters));
  }
  if (found.length > 0) return { disagreements: found.slice(0, 1), chain };
  // More than one thing is in the way: each without which all the others do not help.
  for (const dimension of DIMENSIONS) {
    const others = DIMENSIONS.filter((other) => other !== dimension);
    const outcome = await attempt(others.reduce((offer, other) => other.widen(offer), pinned));
    if (!agreed(outcome)) found.push(dimension.disagreement(best.transcript, bare.parameters));
  }
  return { disagreements: found, chain };
}

export interface Findings {
  /** The first is the one that decides; empty: nothing helped. */
  readonly disagreements: readonly Disagreement[];
  /** What the peer presented once it agreed, DER; null: it never did. */
  readonly chain: readonly Buffer[] | null;
}

/** Whether the peer has chosen, whatever it objected to later. */
export function agreed({ transcript, negotiated }: DialOutcome): boolean {
  return negotiated !== null || transcript.serverChain !== null;
}

interface Dimension {
  readonly widen: (offer: Offer) => Offer;
  readonly disagreement: (transcript: Transcript, parameters: TlsParameters) => Disagreement;
}

/** From the outside in: a version decides which suites there are, a suite whether there is a group. */
const DIMENSIONS: readonly Dimension[] = [
  {
    widen: (offer) => {
      const parameters: TlsParameters = { ...offer.parameters, minVersion: "v1.0", maxVersion: "v1.3" };
      // A list of suites for TLS 1.2 stays as it is; those of 1.3 come with it.
      return {
        ...offer,
        parameters,
        instead: {
          ...offer.instead,
          ciphers: weak(contextParameters(parameters).ciphers, offer.instead?.ciphers),
        },
      };
    },
    disagreement: ({ serverHello }, { minVersion, maxVersion }) => {
      const takes = versionName(serverHello?.version ?? 0);
      return {
        reason: "no_common_version",
        takes,
        says: `the peer takes ${takes}, and ${range(minVersion, maxVersion)} is offered`,
      };
    },
  },
  {
    widen: (offer) => ({ ...offer, instead: { ...offer.instead, ciphers: ALL_CIPHERS } }),
    disagreement: ({ serverHello }) => {
      const takes = suiteName(serverHello?.suite ?? 0);
      return { reason: "no_common_cipher", takes, says: `the peer takes ${takes}, which is not offered` };
    },
  },
  {
    widen: (offer) => ({
      ...offer,
      instead: {
        ...offer.instead,
        groups: ALL_GROUPS,
        ciphers: weak(contextParameters(offer.parameters).ciphers, offer.instead?.ciphers),
      },
    }),
    disagreement: ({ group, retriedGroup }) => {
      const takes = groupName(group ?? retriedGroup ?? 0);
      return {
        reason: "no_common_group",
        takes,
        says: `the peer takes the group ${takes}, which is not offered`,
      };
    },
  },
  {
    widen: (offer) => ({
      ...offer,
      instead: {
        ...offer.instead,
        signatures: ALL_SIGNATURES,
        ciphers: weak(contextParameters(offer.parameters).ciphers, offer.instead?.ciphers),
      },
    }),
    disagreement: ({ serverSignature }) => {
      const takes = serverSignature === null ? null : signatureName(serverSignature);
      return {
        reason: "no_common_signature",
        takes,
        says: `the peer signs with ${takes ?? "an algorithm"}, which is not offered`,
      };
    },
  },
];

/** Nothing of the choices helped: is it what was asked for beside them? */
async function otherwise(bare: Offer, everything: Offer, attempt: Attempt): Promise<Findings> {
  const found = (reason: HandshakeReason, says: string, { transcript }: DialOutcome): Findings => ({
    disagreements: [{ reason, takes: null, says }],
    chain: transcript.serverChain,
  });
  if (bare.alpn.length > 0) {
    const outcome = await attempt({ ...everything, alpn: [] });
    const says = `the peer takes the handshake without ALPN, and refuses it with ${bare.alpn.join(", ")}`;
    if (agreed(outcome)) return found("alpn_mismatch", says, outcome);
  }
  if (bare.serverName !== null) {
    const outcome = await attempt({ ...everything, serverName: null });
    const says = `the peer takes the handshake without a server name, and refuses it for ${bare.serverName}`;
    if (agreed(outcome)) return found("sni_unknown", says, outcome);
  }
  // It may choose TLS 1.3, for which its key is not fit.
  const outcome = await attempt({
    ...everything,
    parameters: { ...everything.parameters, maxVersion: "v1.2" },
  });
  const says =
    "the peer's key makes no signature of TLS 1.3, and those of TLS 1.2 that it makes are not offered";
  return agreed(outcome) ? found("no_common_signature", says, outcome) : { disagreements: [], chain: null };
}

/** What was offered, said in so many words, so that more of one thing is not more of another. */
function pin(offer: Offer, hello: Transcript["clientHello"]): Offer {
  if (hello === null) return offer;
  const signatures = hello.signatures
    .filter((code) => !isGrease(code))
    .map(signatureName)
    .filter((name) => !name.startsWith("0x"));
  return signatures.length === 0 ? offer : { ...offer, instead: { signatures: signatures.join(":") } };
}

function weak(ciphers: string, instead: string | undefined): string {
  const list = instead ?? ciphers;
  return list.includes("@SECLEVEL") ? list : `${list}:@SECLEVEL=0`;
}

function range(from: string, to: string): string {
  const name = (version: string): string => version.replace("v", "TLS ");
  return from === to ? name(from) : `${name(from)} to ${name(to)}`;
}

const ALL_CIPHERS =
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:" +
  "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
const ALL_GROUPS =
  "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024:X25519:P-256:P-384:P-521:X448:ffdhe2048:ffdhe3072:" +
  "ffdhe4096:ffdhe6144:ffdhe8192:brainpoolP256r1:brainpoolP384r1:brainpoolP512r1:secp256k1:P-224:P-192";
const ALL_SIGNATURES =
  "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:rsa_pss_rsae_sha256:" +
  "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:" +
  "RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA224:RSA+SHA224:ECDSA+SHA1:RSA+SHA1:DSA+SHA256:DSA+SHA1";
