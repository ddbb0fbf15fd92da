import type { X509Certificate } from "node:crypto";

export interface OrderedChain {
  /** Leaf first, each issued by the next. Certificates that belong to no link come last, in the order given. */
  readonly chain: readonly X509Certificate[];
  /** The order given was another one. */
  readonly reordered: boolean;
  /** Certificates that are no link of the leaf's chain. */
  readonly unused: number;
}

/**
 * Puts a chain in the order that RFC 8446 §4.4.2 asks for. `isLeaf` tells the certificate that the private key belongs
 * to, since a self-signed root and a leaf look alike to everything else.
 */
export function orderChain(
  certificates: readonly X509Certificate[],
  isLeaf: (certificate: X509Certificate) => boolean,
): OrderedChain | null {
  const leaf = certificates.find(isLeaf);
  if (leaf === undefined) return null;
  const rest = certificates.filter((certificate) => certificate !== leaf);
  const chain = [leaf];
  for (let current = leaf; !isSelfSigned(current); ) {
    // One that signed it and may not is its issuer all the same, and whoever checks the chain says so.
    const issuer =
      rest.find((candidate) => isIssuedBy(current, candidate)) ??
      rest.find((candidate) => current.issuer === candidate.subject && isSignedWith(current, candidate));
    if (issuer === undefined) break;
    rest.splice(rest.indexOf(issuer), 1);
    chain.push(issuer);
    current = issuer;
  }
  const ordered = [...chain, ...rest];
  return {
    chain: ordered,
    reordered: ordered.some((certificate, index) => certificate !== certificates[index]),
    unused: rest.length,
  };
}

/** By name and extensions, and by signature. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && isSignedWith(certificate, issuer);
}

function isSignedWith(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    // An algorithm that this OpenSSL refuses: such a link would not be accepted by a peer either.
    return false;
  }
}

/** Vouches for itself: a root, or a leaf of its own. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && isIssuedBy(certificate, certificate);
}
