import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import type { ErrorResponse } from "../model/route.ts";
import type { MappingSpec } from "../resources/mapping.ts";
import { positionOf, type Resource } from "../resources/resource.ts";

type Written = MappingSpec["error_response_overrides"];

/** What replaces the bodies of error responses (reference §2.5.2). A body in a file of the old pod is not there to be read. */
export function errorResponses(written: Written): ErrorResponse[] | undefined {
  const found = (written ?? []).flatMap(({ on_status_code: status, body }): ErrorResponse[] => {
    if (body.json_format !== undefined) {
      const contentType = body.content_type ?? "application/json";
      return [{ status, contentType, body: jsonTemplate(body.json_format), json: true }];
    }
    if (body.text_format === undefined) return [];
    return [{ status, contentType: body.content_type ?? "text/plain", body: body.text_format }];
  });
  return found.length === 0 ? undefined : found;
}

/** Says of overrides what is not done as written: operators that are not known, and bodies in files. */
export function checkErrorResponses(
  resource: Resource<string, { readonly error_response_overrides?: Written }>,
  subject: Subject,
  diagnostics: Diagnostic[],
): void {
  const report = (message: string, remedy: string): void => {
    const source = positionOf(resource, "error_response_overrides");
    diagnostics.push(diagnose("field-not-supported", { subject, source, message, remedy }));
  };
  for (const { on_status_code: status, body } of resource.spec.error_response_overrides ?? []) {
    const { json_format, text_format, text_format_source } = body;
    if (json_format === undefined && text_format === undefined) {
      const missing =
        text_format_source === undefined
          ? "no body is given"
          : `${text_format_source.filename} is a file of the old pod`;
      const message = `error_response_overrides: responses with ${status} stay as they are: ${missing}`;
      report(message, "Write the body as text_format or json_format.");
    }
    const text = json_format === undefined ? (text_format ?? "") : JSON.stringify(json_format);
    for (const operator of new Set(unknownOperators(text))) {
      const message = `error_response_overrides: ${operator} is not known, and - is written for it`;
      report(message, "Use %RESPONSE_CODE%, %PROTOCOL%, %REQ(NAME)% and %RESP(NAME)%; %% is a percent sign.");
    }
  }
}

/** Operators that the engine puts nothing in for. A `%` that begins none is text. */
function unknownOperators(text: string): string[] {
  const operators = text.match(/%(?:%|[A-Z_]+(?:\([^)]*\))?(?::\d+)?%)/g) ?? [];
  return operators.filter((operator) => operator !== "%%" && !KNOWN.test(operator));
}

const KNOWN =
  /^%(?:RESPONSE_CODE|PROTOCOL|(?:REQ|RESP)\(:?[!#$&'*+.^_`|~0-9A-Za-z-]+(?:\?:?[!#$&'*+.^_`|~0-9A-Za-z-]+)?\)(?::\d{1,4})?)%$/;

/** As Envoy does, a value that is the status alone is a number. */
function jsonTemplate(format: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(format).map(
    ([name, value]) =>
      `${JSON.stringify(name)}:${value === "%RESPONSE_CODE%" ? value : JSON.stringify(value)}`,
  );
  return `{${fields.join(",")}}`;
}
