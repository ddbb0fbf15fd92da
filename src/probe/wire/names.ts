/*
 * What the numbers of TLS are called (IANA's registries), as far as a peer of today may send them: in OpenSSL's words
 * where a TLSContext takes those (suites of TLS 1.2, groups), so that a name can be copied into it.
 */

export function versionName(code: number): string {
  return VERSIONS.get(code) ?? hex(code);
}

export function suiteName(code: number): string {
  return SUITES.get(code) ?? hex(code);
}

export function groupName(code: number): string {
  return GROUPS.get(code) ?? hex(code);
}

export function signatureName(code: number): string {
  return SIGNATURES.get(code) ?? hex(code);
}

/** As RFC 8446 §6 writes it, with spaces. */
export function alertName(code: number): string {
  return ALERTS.get(code) ?? `alert ${code}`;
}

/** RFC 8701: values that clients throw in so that servers learn to ignore what they do not know. */
export function isGrease(code: number): boolean {
  return (code & 0x0f0f) === 0x0a0a && code >> 8 === (code & 0xff);
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(4, "0")}`;
}

const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0300, "SSL 3.0"],
  [0x0301, "TLS 1.0"],
  [0x0302, "TLS 1.1"],
  [0x0303, "TLS 1.2"],
  [0x0304, "TLS 1.3"],
]);

const SUITES: ReadonlyMap<number, string> = new Map([
  [4865, "TLS_AES_128_GCM_SHA256"],
  [4866, "TLS_AES_256_GCM_SHA384"],
  [4867, "TLS_CHACHA20_POLY1305_SHA256"],
  [4868, "TLS_AES_128_CCM_SHA256"],
  [4869, "TLS_AES_128_CCM_8_SHA256"],
  [49195, "ECDHE-ECDSA-AES128-GCM-SHA256"],
  [49196, "ECDHE-ECDSA-AES256-GCM-SHA384"],
  [49199, "ECDHE-RSA-AES128-GCM-SHA256"],
  [49200, "ECDHE-RSA-AES256-GCM-SHA384"],
  [52392, "ECDHE-RSA-CHACHA20-POLY1305"],
  [52393, "ECDHE-ECDSA-CHACHA20-POLY1305"],
  [52394, "DHE-RSA-CHACHA20-POLY1305"],
  [49161, "ECDHE-ECDSA-AES128-SHA"],
  [49162, "ECDHE-ECDSA-AES256-SHA"],
  [49171, "ECDHE-RSA-AES128-SHA"],
  [49172, "ECDHE-RSA-AES256-SHA"],
  [49187, "ECDHE-ECDSA-AES128-SHA256"],
  [49188, "ECDHE-ECDSA-AES256-SHA384"],
  [49191, "ECDHE-RSA-AES128-SHA256"],
  [49192, "ECDHE-RSA-AES256-SHA384"],
  [49324, "ECDHE-ECDSA-AES128-CCM"],
  [49325, "ECDHE-ECDSA-AES256-CCM"],
  [158, "DHE-RSA-AES128-GCM-SHA256"],
  [159, "DHE-RSA-AES256-GCM-SHA384"],
  [103, "DHE-RSA-AES128-SHA256"],
  [107, "DHE-RSA-AES256-SHA256"],
  [51, "DHE-RSA-AES128-SHA"],
  [57, "DHE-RSA-AES256-SHA"],
  [156, "AES128-GCM-SHA256"],
  [157, "AES256-GCM-SHA384"],
  [60, "AES128-SHA256"],
  [61, "AES256-SHA256"],
  [47, "AES128-SHA"],
  [53, "AES256-SHA"],
  [65, "CAMELLIA128-SHA"],
  [132, "CAMELLIA256-SHA"],
  [10, "DES-CBC3-SHA"],
  [5, "RC4-SHA"],
  [4, "RC4-MD5"],
  [52, "ADH-AES128-SHA"],
  [166, "ADH-AES128-GCM-SHA256"],
  [59, "NULL-SHA256"],
  [2, "NULL-SHA"],
  [49327, "ECDHE-ECDSA-AES256-CCM8"],
  [49315, "DHE-RSA-AES256-CCM8"],
  [49311, "DHE-RSA-AES256-CCM"],
  [49245, "ECDHE-ECDSA-ARIA256-GCM-SHA384"],
  [49249, "ECDHE-ARIA256-GCM-SHA384"],
  [49235, "DHE-RSA-ARIA256-GCM-SHA384"],
  [49326, "ECDHE-ECDSA-AES128-CCM8"],
  [49314, "DHE-RSA-AES128-CCM8"],
  [49310, "DHE-RSA-AES128-CCM"],
  [49244, "ECDHE-ECDSA-ARIA128-GCM-SHA256"],
  [49248, "ECDHE-ARIA128-GCM-SHA256"],
  [49234, "DHE-RSA-ARIA128-GCM-SHA256"],
  [49267, "ECDHE-ECDSA-CAMELLIA256-SHA384"],
  [49271, "ECDHE-RSA-CAMELLIA256-SHA384"],
  [196, "DHE-RSA-CAMELLIA256-SHA256"],
  [49266, "ECDHE-ECDSA-CAMELLIA128-SHA256"],
  [49270, "ECDHE-RSA-CAMELLIA128-SHA256"],
  [190, "DHE-RSA-CAMELLIA128-SHA256"],
  [136, "DHE-RSA-CAMELLIA256-SHA"],
  [69, "DHE-RSA-CAMELLIA128-SHA"],
  [49313, "AES256-CCM8"],
  [49309, "AES256-CCM"],
  [49233, "ARIA256-GCM-SHA384"],
  [49312, "AES128-CCM8"],
  [49308, "AES128-CCM"],
  [49232, "ARIA128-GCM-SHA256"],
  [192, "CAMELLIA256-SHA256"],
  [186, "CAMELLIA128-SHA256"],
  [49158, "ECDHE-ECDSA-NULL-SHA"],
  [49168, "ECDHE-RSA-NULL-SHA"],
  [1, "NULL-MD5"],
]);

const GROUPS: ReadonlyMap<number, string> = new Map([
  [19, "P-192"],
  [21, "P-224"],
  [22, "secp256k1"],
  [23, "P-256"],
  [24, "P-384"],
  [25, "P-521"],
  [26, "brainpoolP256r1"],
  [27, "brainpoolP384r1"],
  [28, "brainpoolP512r1"],
  [29, "X25519"],
  [30, "X448"],
  [31, "brainpoolP256r1tls13"],
  [32, "brainpoolP384r1tls13"],
  [33, "brainpoolP512r1tls13"],
  [256, "ffdhe2048"],
  [257, "ffdhe3072"],
  [258, "ffdhe4096"],
  [259, "ffdhe6144"],
  [260, "ffdhe8192"],
  [512, "MLKEM512"],
  [513, "MLKEM768"],
  [514, "MLKEM1024"],
  [4587, "SecP256r1MLKEM768"],
  [4588, "X25519MLKEM768"],
  [4589, "SecP384r1MLKEM1024"],
]);

const SIGNATURES: ReadonlyMap<number, string> = new Map([
  [0x0101, "rsa_pkcs1_md5"],
  [0x0201, "rsa_pkcs1_sha1"],
  [0x0202, "dsa_sha1"],
  [0x0203, "ecdsa_sha1"],
  [0x0301, "rsa_pkcs1_sha224"],
  [0x0303, "ecdsa_sha224"],
  [0x0401, "rsa_pkcs1_sha256"],
  [0x0402, "dsa_sha256"],
  [0x0403, "ecdsa_secp256r1_sha256"],
  [0x0501, "rsa_pkcs1_sha384"],
  [0x0503, "ecdsa_secp384r1_sha384"],
  [0x0601, "rsa_pkcs1_sha512"],
  [0x0603, "ecdsa_secp521r1_sha512"],
  [0x0804, "rsa_pss_rsae_sha256"],
  [0x0805, "rsa_pss_rsae_sha384"],
  [0x0806, "rsa_pss_rsae_sha512"],
  [0x0807, "ed25519"],
  [0x0808, "ed448"],
  [0x0809, "rsa_pss_pss_sha256"],
  [0x080a, "rsa_pss_pss_sha384"],
  [0x080b, "rsa_pss_pss_sha512"],
  [0x081a, "ecdsa_brainpoolP256r1tls13_sha256"],
  [0x081b, "ecdsa_brainpoolP384r1tls13_sha384"],
  [0x081c, "ecdsa_brainpoolP512r1tls13_sha512"],
  [0x0904, "mldsa44"],
  [0x0905, "mldsa65"],
  [0x0906, "mldsa87"],
]);

const ALERTS: ReadonlyMap<number, string> = new Map([
  [0, "close notify"],
  [10, "unexpected message"],
  [20, "bad record mac"],
  [22, "record overflow"],
  [40, "handshake failure"],
  [42, "bad certificate"],
  [43, "unsupported certificate"],
  [44, "certificate revoked"],
  [45, "certificate expired"],
  [46, "certificate unknown"],
  [47, "illegal parameter"],
  [48, "unknown ca"],
  [49, "access denied"],
  [50, "decode error"],
  [51, "decrypt error"],
  [70, "protocol version"],
  [71, "insufficient security"],
  [80, "internal error"],
  [86, "inappropriate fallback"],
  [90, "user canceled"],
  [109, "missing extension"],
  [110, "unsupported extension"],
  [112, "unrecognized name"],
  [113, "bad certificate status response"],
  [115, "unknown psk identity"],
  [116, "certificate required"],
  [120, "no application protocol"],
]);
