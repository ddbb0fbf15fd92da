import { canonicalAddress } from "./address.ts";
import { DerReader, type DerValue, MalformedDer, oidOf, readAll, readOne, TAG } from "./der-reader.ts";
import { type DistinguishedName, printName, readName } from "./distinguished-name.ts";

/** A GeneralName (RFC 5280 §4.2.1.6). */
export type GeneralName =
  | { readonly kind: "dns" | "email" | "uri"; readonly text: string }
  /** In a name 4 or 16 octets, in a constraint twice as many. */
  | { readonly kind: "ip"; readonly octets: Buffer }
  | { readonly kind: "directory"; readonly name: DistinguishedName }
  | { readonly kind: "other"; readonly oid: string }
  /** x400Address, ediPartyName, registeredID. */
  | { readonly kind: "unused"; readonly tag: number };

/** Throws MalformedDer. */
export function readGeneralNames(content: Buffer): GeneralName[] {
  const names = readAll(content).map(readGeneralName);
  if (names.length === 0) throw new MalformedDer("names without a name");
  return names;
}

/** RFC 5280 §4.2.1.6. Throws MalformedDer. */
export function readGeneralName(value: DerValue): GeneralName {
  const { tag, content } = value;
  switch (tag) {
    case 0xa0:
      return { kind: "other", oid: oidOf(new DerReader(content).read(TAG.oid)) };
    case 0x81:
      return { kind: "email", text: content.toString("latin1") };
    case 0x82:
      return { kind: "dns", text: content.toString("latin1") };
    case 0xa4:
      return { kind: "directory", name: readName(readOne(content, TAG.sequence)) };
    case 0x86:
      return { kind: "uri", text: content.toString("latin1") };
    case 0x87:
      return { kind: "ip", octets: content };
    case 0xa3:
    case 0xa5:
    case 0x88:
      return { kind: "unused", tag };
    default:
      throw new MalformedDer("a name of no kind that there is");
  }
}

/** For an operator's eyes. */
export function printGeneralName(name: GeneralName): string {
  switch (name.kind) {
    case "dns":
    case "email":
    case "uri":
      return name.text;
    case "ip":
      return printAddress(name.octets);
    case "directory":
      return printName(name.name);
    default:
      return `a name of another kind (${name.kind === "other" ? name.oid : name.tag})`;
  }
}

/** An address, or an address and a mask. */
function printAddress(octets: Buffer): string {
  const half = octets.length === 8 || octets.length === 32 ? octets.length / 2 : octets.length;
  const address = octets.subarray(0, half);
  const text =
    half === 4
      ? address.join(".")
      : canonicalAddress((address.toString("hex").match(/.{1,4}/g) ?? []).join(":"));
  return half === octets.length ? text : `${text}/${printAddress(octets.subarray(half))}`;
}
