import type { MessageInitShape } from "@bufbuild/protobuf";
import { FORMAT_OPERATORS } from "../../model/format.ts";
import { FRAMING_FIELDS } from "../../model/framing.ts";
import type { HeaderChanges } from "../../model/route.ts";
import {
  HeaderValueOption_HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";

/** Header changes as routes have them; Envoy, too, removes first. */
export interface EnvoyHeaderChanges {
  readonly add: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly remove: string[];
}

/** What is added and removed, but for fields that frame the message. */
export function headerChanges(changes: HeaderChanges | undefined): EnvoyHeaderChanges {
  const add = (changes?.add ?? []).filter(({ name }) => mayChange(name));
  return {
    add: add.map(({ name, value, append }) => ({
      header: { key: name, value: formatOf(value) },
      appendAction: append
        ? HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD
        : HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
      keepEmptyValue: true,
    })),
    remove: (changes?.remove ?? []).filter(mayChange),
  };
}

/** In Envoy's format language: the operators that the model knows, everything else as it is written. */
export function formatOf(text: string): string {
  return text.replace(/%(?:%|([A-Z0-9_]+)%)?/g, (whole, name: string | undefined) => {
    if (whole === "%%" || (name !== undefined && OPERATORS.has(name))) return whole;
    return whole.replaceAll("%", "%%");
  });
}

const OPERATORS: ReadonlySet<string> = new Set(FORMAT_OPERATORS);

/** Envoy refuses a whole resource for a name that is no token (RFC 9110 §5.6.2). */
function mayChange(name: string): boolean {
  return !FRAMING_FIELDS.has(name.toLowerCase()) && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
}
