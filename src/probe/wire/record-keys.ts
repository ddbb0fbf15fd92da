import { createDecipheriv, createHmac } from "node:crypto";

/** The secrets of a TLS 1.3 handshake by their label (SSLKEYLOGFILE), as Node's `keylog` event has them. */
export type Secrets = ReadonlyMap<string, Buffer>;

/** Reads a line of `keylog` into `secrets`. They stay in memory, and are of a connection that nothing else is sent on. */
export function keepSecret(line: Buffer, secrets: Map<string, Buffer>): void {
  const [label, , secret] = line.toString("latin1").trim().split(" ");
  if (label !== undefined && secret !== undefined) secrets.set(label, Buffer.from(secret, "hex"));
}

/** One direction's protection from one traffic secret on (RFC 8446 §5.2, §7.3). */
export class RecordKeys {
  readonly #suite: Suite;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #sequence = 0;

  private constructor(suite: Suite, secret: Buffer) {
    this.#suite = suite;
    this.#key = expandLabel(suite.hash, secret, "key", suite.keyLength);
    this.#iv = expandLabel(suite.hash, secret, "iv", 12);
  }

  /** Null: a suite that is not known here. */
  static of(suite: number, secret: Buffer): RecordKeys | null {
    const known = SUITES[suite];
    return known === undefined ? null : new RecordKeys(known, secret);
  }

  /** Opens the next record: its true type, and what it holds. Null: it was not made with these keys. */
  open(header: Buffer, body: Buffer): { readonly type: number; readonly content: Buffer } | null {
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence) >>> 0, 8);
    try {
      const decipher = createDecipheriv(this.#suite.cipher as "aes-128-gcm", this.#key, nonce, {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(header);
      decipher.setAuthTag(body.subarray(-TAG_BYTES));
      const plain = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
      this.#sequence++;
      // The type is the last octet that is not padding.
      let end = plain.length;
      while (end > 0 && plain[end - 1] === 0) end--;
      return end === 0 ? null : { type: plain[end - 1] as number, content: plain.subarray(0, end - 1) };
    } catch {
      return null;
    }
  }
}

/** Of all three. */
const TAG_BYTES = 16;

interface Suite {
  readonly cipher: "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";
  readonly keyLength: number;
  readonly hash: "sha256" | "sha384";
}

const SUITES: Readonly<Record<number, Suite>> = {
  4865: { cipher: "aes-128-gcm", keyLength: 16, hash: "sha256" },
  4866: { cipher: "aes-256-gcm", keyLength: 32, hash: "sha384" },
  4867: { cipher: "chacha20-poly1305", keyLength: 32, hash: "sha256" },
};

/** HKDF-Expand-Label (RFC 8446 §7.1) with no context; one block of HKDF is enough for what is asked here. */
function expandLabel(hash: Suite["hash"], secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, "latin1");
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac(hash, secret).update(info).digest().subarray(0, length);
}
