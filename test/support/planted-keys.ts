import { createPrivateKey } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Secrets that a test plants, and the search for them in whatever was written: as raw bytes, PEM lines, hex, base64 at any
 * alignment (of DER, and of PEM once more, as in a Secret's `data`), and as lists of numbers. Line breaks, their escapes
 * and colons between bytes hide nothing.
 */
export class PlantedKeys {
  readonly #needles: { readonly name: string; readonly text: string; readonly in: keyof Hay }[] = [];

  /** Of a key its private numbers alone: what is public may be anywhere. */
  addKey(name: string, pem: string): void {
    const jwk = createPrivateKey(pem).export({ format: "jwk" });
    for (const part of ["d", "p"] as const) {
      const number = jwk[part];
      if (number === undefined) continue;
      const bytes = Buffer.from(number, "base64url");
      for (const start of [0, (bytes.length - WINDOW) >> 1, bytes.length - WINDOW])
        this.#addBytes(`${name} (${part})`, bytes.subarray(start, start + WINDOW));
    }
    // In a Secret's `data` the PEM itself is base64: pieces of its lines that hold nothing but the private number.
    const body = pem.replace(/-----[^-]+-----|\s/g, "");
    const der = Buffer.from(body, "base64");
    const d = Buffer.from(jwk.d ?? "", "base64url");
    const from = der.indexOf(d);
    if (from < 0) throw new Error(`${name}: the private number is not in its own key`);
    for (
      let at = Math.ceil((from * 4) / 3);
      at + PIECE <= Math.floor(((from + d.length) * 4) / 3);
      at += PIECE
    ) {
      const isInOneLine = Math.floor(at / 64) === Math.floor((at + PIECE - 1) / 64);
      if (isInOneLine) this.#addAligned(`${name} (PEM)`, Buffer.from(body.slice(at, at + PIECE)));
    }
  }

  /** A word that is unlike any other. */
  addText(name: string, text: string): void {
    this.#needles.push({ name, text, in: "raw" });
    this.#addBytes(name, Buffer.from(text));
  }

  /** What of it is in these bytes; empty: nothing. */
  find(bytes: Buffer | string): string[] {
    const raw = typeof bytes === "string" ? bytes : bytes.toString("latin1");
    const dense = raw
      .replace(/%2B/gi, "+")
      .replace(/%2F/gi, "/")
      .replace(/\\[nr]|\\u000a|\s/gi, "");
    const hay: Hay = { raw, dense, hex: dense.toLowerCase().replaceAll(":", "") };
    return [
      ...new Set(
        this.#needles.filter((needle) => hay[needle.in].includes(needle.text)).map(({ name }) => name),
      ),
    ];
  }

  /** In every file below a folder, names included. Sockets and what goes away meanwhile are passed by. */
  findBelow(folder: string, except: (path: string) => boolean = () => false): string[] {
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const path = join(folder, name);
      if (except(path)) return [];
      const text = isFile(path) ? readFileSync(path) : Buffer.alloc(0);
      return [...this.find(text), ...this.find(name)].map((found) => `${found} in ${path}`);
    });
  }

  #addBytes(name: string, bytes: Buffer): void {
    this.#needles.push(
      { name: `${name} as bytes`, text: bytes.toString("latin1"), in: "raw" },
      { name: `${name} as hex`, text: bytes.toString("hex"), in: "hex" },
      { name: `${name} as numbers`, text: [...bytes].join(","), in: "dense" },
    );
    this.#addAligned(name, bytes);
  }

  /** Base64 of bytes in the middle of others: what does not depend on their neighbours, for each of the three places. */
  #addAligned(name: string, bytes: Buffer): void {
    for (const shift of [0, 1, 2]) {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
      const whole = Math.floor((bytes.length + shift) / 3) * 4;
      const inner = text.slice(shift === 0 ? 0 : 4, whole);
      this.#needles.push({ name: `${name} as base64`, text: inner, in: "dense" });
      const url = inner.replaceAll("+", "-").replaceAll("/", "_");
      if (url !== inner) this.#needles.push({ name: `${name} as base64url`, text: url, in: "dense" });
    }
  }
}

interface Hay {
  readonly raw: string;
  /** Without white space and escaped line breaks. */
  readonly dense: string;
  /** The same in lower case, without colons. */
  readonly hex: string;
}

/** Bytes: long enough to be nobody else's, short enough to be found in what was cut. */
const WINDOW = 15;
/** Characters of PEM. */
const PIECE = 18;

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
