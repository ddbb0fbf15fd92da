import { DerReader, type DerValue, oidOf, readAll, TAG } from "./der-reader.ts";

/** A Name (RFC 5280 §4.1.2.4), made comparable. */
export interface DistinguishedName {
  /** One text for each relative name, equal where RFC 5280 §7.1 calls them equal. */
  readonly relative: readonly string[];
  /** Of all of them: equal keys, equal names. */
  readonly key: string;
  readonly attributes: readonly NameAttribute[];
}

export interface NameAttribute {
  readonly oid: string;
  readonly text: string;
}

export const ATTRIBUTE = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  emailAddress: "1.2.840.113549.1.9.1",
} as const;

/** Throws MalformedDer. */
export function readName({ content }: DerValue): DistinguishedName {
  const relative: string[] = [];
  const attributes: NameAttribute[] = [];
  for (const set of readAll(content, TAG.set)) {
    const parts = readAll(set.content, TAG.sequence).map((pair) => {
      const reader = new DerReader(pair.content);
      const oid = oidOf(reader.read(TAG.oid));
      const value = reader.read();
      reader.end();
      const text = textOf(value);
      attributes.push({ oid, text: text ?? "" });
      return `${oid}=${text === null ? value.encoding.toString("hex") : JSON.stringify(comparable(text))}`;
    });
    relative.push(parts.sort().join("+"));
  }
  return { relative, key: relative.join("\n"), attributes };
}

/** The texts of a name's attributes of one type, in the order in which they stand. */
export function attributesOf(name: DistinguishedName, oid: string): string[] {
  return name.attributes.filter((attribute) => attribute.oid === oid).map(({ text }) => text);
}

/** As RFC 4514 has it, the last relative name first; for an operator's eyes, so nothing is escaped. */
export function printName({ attributes }: DistinguishedName): string {
  return attributes
    .map(({ oid, text }) => `${LABELS[oid] ?? oid}=${text}`)
    .reverse()
    .join(", ");
}

const LABELS: Readonly<Record<string, string>> = {
  [ATTRIBUTE.commonName]: "CN",
  [ATTRIBUTE.organization]: "O",
  [ATTRIBUTE.emailAddress]: "emailAddress",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.11": "OU",
  "0.9.2342.19200300.100.1.25": "DC",
};

/** As OpenSSL and BoringSSL compare (RFC 5280 §7.1 with ASCII only): case and white space do not count. */
function comparable(text: string): string {
  return text
    .replace(/[ \t-\r]+/g, " ")
    .replace(/^ | $/g, "")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Null where it is no text, so that only equal bytes are equal. */
function textOf({ tag, content }: DerValue): string | null {
  switch (tag) {
    case 0x0c:
      return UTF8.test(content) ? content.toString("utf8") : null;
    // PrintableString, T61String (read as Latin-1, as everybody does), IA5String, VisibleString.
    case 0x13:
    case 0x14:
    case 0x16:
    case 0x1a:
      return content.toString("latin1");
    case 0x1e:
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString("utf16le") : null;
    default:
      return null;
  }
}

const UTF8 = {
  decoder: new TextDecoder("utf-8", { fatal: true }),
  test(bytes: Buffer): boolean {
    try {
      this.decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  },
};
