/** Rows of the catalogue about Secrets, and files with certificates, keys, CAs and revocation lists. */
export const CREDENTIAL_CODES = {
  "secret-missing": ["error", "route-fails-closed", "Create the Secret, or mend its name or namespace."],
  "secret-type-unsupported": [
    "warning",
    "object-ignored",
    "Use type kubernetes.io/tls, Opaque or istio.io/key-and-cert.",
  ],
  "secret-key-missing": [
    "error",
    "route-fails-closed",
    "Give the Secret tls.crt and tls.key, or cert-chain.pem and key.pem.",
  ],
  "secret-data-invalid": [
    "error",
    "object-ignored",
    "Encode each value of `data` as base64, or use `stringData`.",
  ],
  "outside-group": [
    "error",
    "route-fails-closed",
    "Use a Secret, or have the group in the fleet's rules list the folder under `files`.",
  ],
  "certificate-file-unreadable": ["error", "route-fails-closed", "Make the file readable, or mend its path."],
  "pem-invalid": [
    "error",
    "route-fails-closed",
    "Replace it by PEM: `-----BEGIN CERTIFICATE-----` and so on.",
  ],
  "private-key-invalid": [
    "error",
    "route-fails-closed",
    "Give an RSA, ECDSA or Ed25519 key as PKCS#8, PKCS#1 or SEC1 PEM.",
  ],
  "private-key-encrypted": [
    "error",
    "route-fails-closed",
    "Decrypt it: `openssl pkey -in key.pem -out plain.pem`.",
  ],
  "private-key-mismatch": [
    "error",
    "route-fails-closed",
    "Give the key that belongs to the first certificate.",
  ],
  "private-key-misplaced": [
    "error",
    "informational",
    "Put it into a Secret or a file of its own, name that here, and replace the key: whoever could read this has it.",
  ],
  "certificate-expired": ["error", "route-fails-closed", "Renew the certificate."],
  "certificate-not-yet-valid": [
    "error",
    "route-fails-closed",
    "Wait until it is valid, or check the clocks.",
  ],
  "certificate-purpose": [
    "error",
    "route-fails-closed",
    "Issue it with the extended key usage that its use needs.",
  ],
  "certificate-chain-broken": [
    "warning",
    "informational",
    "Give the intermediates after the leaf, each the issuer of the one before.",
  ],
  "certificate-chain-reordered": [
    "warning",
    "informational",
    "Write the chain leaf first; it was put in order here.",
  ],
  "certificate-key-weak": [
    "error",
    "route-fails-closed",
    "Use RSA of 2048 bits or more, P-256 or better, or Ed25519.",
  ],
  "certificate-signature-weak": [
    "error",
    "route-fails-closed",
    "Have it issued again with SHA-256 or better.",
  ],
  "certificate-chain-invalid": [
    "error",
    "route-fails-closed",
    "Have it issued by a CA that may: CA:TRUE with keyCertSign, a path length and name constraints that allow it.",
  ],
  "certificate-malformed": [
    "warning",
    "informational",
    "Have the certificate issued again as RFC 5280 has it.",
  ],
  "certificate-is-ca": [
    "warning",
    "informational",
    "Have a certificate issued with basicConstraints CA:FALSE.",
  ],
  "certificate-without-san": [
    "warning",
    "informational",
    "Have it issued with the names that it serves as subjectAltName.",
  ],
  "certificate-expires-soon": ["warning", "informational", "Renew the certificate."],
  "crl-stale-soon": ["warning", "informational", "Fetch the CA's next list, before this one is at its end."],
  "ocsp-staple-invalid": [
    "error",
    "informational",
    "Fetch the response anew: `openssl ocsp -issuer ca.pem -cert tls.crt -url URL -respout tls.ocsp`.",
  ],
  "ocsp-staple-missing": [
    "warning",
    "informational",
    "Name a file with the CA's response in `ocsp_staple_file`, or have the certificate issued without must-staple.",
  ],
  "ocsp-staple-stale": [
    "warning",
    "informational",
    "Fetch a newer response from the CA, before the old one ends.",
  ],
  "trust-empty": ["error", "route-fails-closed", "Give at least one CA certificate as PEM."],
  "trust-not-ca": ["error", "route-fails-closed", "Give certificates with basicConstraints CA:TRUE."],
  "crl-invalid": [
    "error",
    "route-fails-closed",
    "Give CRLs as PEM: `-----BEGIN X509 CRL-----`, as the CA delivers them.",
  ],
  "crl-missing": ["error", "route-fails-closed", "Give the CRL, or write `crl_policy: allow-missing`."],
  "crl-left-out": [
    "warning",
    "kept-previous",
    "Give that CA's list again. If no certificate of it is accepted any more, nothing: the list goes once it is stale.",
  ],
  "crl-older": ["error", "kept-previous", "Give the newest CRL of that CA."],
  "crl-stale": [
    "error",
    "informational",
    "Fetch a new CRL; with `crl_policy: require`, peers of that CA are refused until then.",
  ],
  "issuer-unavailable": [
    "error",
    "route-fails-closed",
    "Look at the issuer: its socket or address, what it allows this gateway, and its log.",
  ],
  "credential-kept-previous": [
    "error",
    "kept-previous",
    "Mend the new certificate before the previous one expires.",
  ],
} as const;
