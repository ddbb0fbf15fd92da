import { type TProperties, Type } from "typebox";

/** What a field's documentation says; docs/reference/ and the messages of `credence check` are made of it. */
export interface FieldDoc {
  /** The values it takes, in words that fit after "must be". */
  readonly is: string;
  /** What it does, in one sentence. */
  readonly does: string;
  /** What holds where it is left out. */
  readonly byDefault?: string;
  readonly example?: unknown;
  /** Written instead of what is deprecated, or why it does nothing. */
  readonly note?: string;
}

/** Schema options that carry a field's documentation; `description` is what TypeBox and our messages call its type. */
export function doc({ is, does, byDefault, example, note }: FieldDoc): Record<string, unknown> {
  return {
    description: is,
    does,
    ...(byDefault === undefined ? {} : { byDefault }),
    ...(example === undefined ? {} : { examples: [example] }),
    ...(note === undefined ? {} : { note }),
  };
}

type Doc = Omit<FieldDoc, "is">;

/** `true` or `false`. */
export const flag = (text: Doc) => Type.Optional(Type.Boolean(doc({ is: "true or false", ...text })));

/** A hundred years: what is no time at all overflows in one place or another. */
export const LONGEST_MS = 3_153_600_000_000;

/** A whole number of milliseconds. */
export const milliseconds = (text: Doc, minimum = 0) =>
  Type.Optional(
    Type.Integer({
      minimum,
      maximum: LONGEST_MS,
      ...doc({ is: `a number of milliseconds up to ${LONGEST_MS}`, ...text }),
    }),
  );

/** A whole number. By default as large as 1.14's Envoy took them: of 32 bits. */
export const count = (text: Doc, minimum = 0, maximum = 2 ** 32 - 1) =>
  Type.Optional(
    Type.Integer({
      minimum,
      maximum,
      ...doc({ is: `a whole number from ${minimum} to ${maximum}`, ...text }),
    }),
  );

/** Text that is not empty. */
export const text = (about: FieldDoc) => Type.Optional(Type.String({ minLength: 1, ...doc(about) }));

/** One of some words. */
export const oneOf = <const Words extends readonly string[]>(words: Words, about: Doc) =>
  Type.Optional(
    Type.Unsafe<Words[number]>(
      Type.Union(
        words.map((word) => Type.Literal(word)),
        doc({ is: words.join(", ").replace(/, ([^,]*)$/, " or $1"), ...about }),
      ),
    ),
  );

const NAME = "^[\\s\\S]{1,1024}$";

/** Whether a map of names may have it. */
export function isName(text: string): boolean {
  return text.length > 0 && text.length <= 1024;
}

/** A map of names to values of one kind. Names have a character at least, and no more than Envoy takes. */
export const mapOf = <Value extends Parameters<typeof Type.Record>[1]>(value: Value, about: FieldDoc) =>
  Type.Optional(
    Type.Record(Type.String({ pattern: NAME }), value, {
      additionalProperties: false,
      ...doc(about),
    }),
  );

/** A header name or a method (RFC 9110 §5.6.2). */
export const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/** A map of header names to values, which go into a head as they stand. */
export const headersOf = <Value extends Parameters<typeof Type.Record>[1]>(value: Value, about: FieldDoc) =>
  Type.Optional(
    Type.Record(Type.String({ pattern: TOKEN }), value, { additionalProperties: false, ...doc(about) }),
  );

/** A map whose fields are known; others in it are refused. */
export const block = <Fields extends TProperties>(fields: Fields, about: FieldDoc) =>
  Type.Optional(Type.Object(fields, { additionalProperties: false, ...doc(about) }));
