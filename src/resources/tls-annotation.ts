import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { isRecord } from "./fields.ts";
import type { RawObject } from "./resource.ts";

/** Where fields that 1.14 does not know may stand, so that YAML with them is still good for it. */
const TLS_ANNOTATION = "credence.dev/tls";

/** The fields of a TLSContext that are Credence's own. */
const OWN_TLS_FIELDS = ["verify", "identity", "ocsp_staple_file"] as const;

export interface AnnotatedSpec {
  /** The spec with what the annotation says; as given where there is none. */
  readonly spec: unknown;
  /** Positions with those of the annotation for the fields that it has. */
  readonly raw: RawObject;
  /** The annotation cannot be read: what guards may not be taken for left out. */
  readonly unreadable: boolean;
  readonly diagnostics: readonly Diagnostic[];
}

/** Puts the annotation's fields into the spec. It wins over what the spec says, and both is a warning. */
export function withTlsAnnotation(spec: unknown, subject: Subject, raw: RawObject): AnnotatedSpec {
  const written = annotationOf(raw);
  if (written === undefined) return { spec, raw, unreadable: false, diagnostics: [] };
  const source = placeOf(raw);
  const fields = typeof written === "string" ? parse(written) : null;
  const known = fields === null ? [] : Object.keys(fields).filter((name) => isOwn(name));
  // Nothing (`null`) in the place of a rule would take away the one of the spec.
  const isWhole = known.every((name) => fields?.[name] !== null);
  if (fields === null || !isWhole || known.length !== Object.keys(fields).length) {
    const message = `${TLS_ANNOTATION} must be a JSON map of ${OWN_TLS_FIELDS.join(", ")}, each key once and none of them null`;
    const diagnostics = [diagnose("field-invalid", { subject, source, message })];
    return { spec, raw, unreadable: true, diagnostics };
  }
  const given = isRecord(spec) ? spec : {};
  const both = known.filter((name) => name in given);
  return {
    spec: { ...given, ...fields },
    raw: {
      ...raw,
      fields: new Map([...raw.fields, ...known.map((name) => [`spec.${name}`, source] as const)]),
    },
    unreadable: false,
    diagnostics: both.map((name) =>
      diagnose("tls-annotation-overrides", {
        subject,
        source: raw.fields.get(`spec.${name}`) ?? raw.source,
        message: `${name} is given twice; the annotation ${TLS_ANNOTATION} is used`,
      }),
    ),
  };
}

/** The annotation on an object of another kind, which has no such rules: null where there is none. */
export function strayTlsAnnotation(subject: Subject, raw: RawObject): Diagnostic | null {
  if (annotationOf(raw) === undefined) return null;
  // A name is not to be served without the check of clients that somebody has written.
  const closes = subject.kind === "Host" ? ({ severity: "error", effect: "host-refused" } as const) : {};
  return diagnose("field-unknown", {
    subject,
    source: placeOf(raw),
    message: `the annotation ${TLS_ANNOTATION} is read on a TLSContext, and on no ${subject.kind}`,
    remedy: "Write it on the TLSContext that this object names.",
    ...closes,
  });
}

function annotationOf({ value }: RawObject): unknown {
  const metadata = isRecord(value) ? value.metadata : undefined;
  const annotations = isRecord(metadata) ? metadata.annotations : undefined;
  return isRecord(annotations) ? annotations[TLS_ANNOTATION] : undefined;
}

function placeOf({ fields, source }: RawObject): SourcePosition {
  return fields.get(`metadata.annotations.${TLS_ANNOTATION}`) ?? fields.get("metadata.annotations") ?? source;
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) && !hasRepeatedKey(text) ? value : null;
  } catch {
    return null;
  }
}

/** Of which readers take the one or the other (RFC 8259 §4), as of YAML's; `json` is JSON. */
function hasRepeatedKey(json: string): boolean {
  const open: Set<string>[] = [];
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[[\]{}]/g)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const key = JSON.parse(token.slice(0, -1)) as string;
      if (open.at(-1)?.has(key) === true) return true;
      open.at(-1)?.add(key);
    }
  }
  return false;
}

function isOwn(name: string): boolean {
  return (OWN_TLS_FIELDS as readonly string[]).includes(name);
}
