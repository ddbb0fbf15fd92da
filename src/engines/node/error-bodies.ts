import type { ErrorResponse } from "../../model/route.ts";
import { bytesOf, type FieldLines } from "./http1/fields.ts";
import type { RequestHead } from "./http1/request-head.ts";
import { headerValue } from "./route-match.ts";

/** A body that replaces a response's, as Latin-1 text of its bytes. */
export interface ErrorBody {
  readonly contentType: string;
  readonly text: string;
}

/** Null where nothing is replaced, as with most requests. */
export function errorBodies(
  responses: readonly ErrorResponse[] | undefined,
  head: RequestHead,
): ErrorBodies | null {
  return responses === undefined ? null : new ErrorBodies(responses, head);
}

/** What replaces the error bodies of one request (`error_response_overrides`). */
export class ErrorBodies {
  readonly #templates: readonly Template[];
  /** What the templates want of the request, whose head is gone by the time of the response. */
  readonly #request = new Map<string, string | null>();

  constructor(responses: readonly ErrorResponse[], head: RequestHead) {
    this.#templates = templatesOf(responses);
    for (const { requestNames } of this.#templates)
      for (const name of requestNames) this.#request.set(name, requestValue(name, head));
  }

  /** Null where responses with this status stay as they are; `fields` are an upstream's. */
  find(status: number, fields: FieldLines | null): ErrorBody | null {
    const template = this.#templates.find((each) => each.status === status);
    if (template === undefined) return null;
    const text = template.parts.map((part) =>
      typeof part === "string" ? part : this.#valueOf(part, template, fields),
    );
    return { contentType: template.contentType, text: text.join("") };
  }

  #valueOf(operator: Operator, template: Template, fields: FieldLines | null): string {
    let value: string | null = null;
    if (operator.of === "status") value = String(template.status);
    else if (operator.of === "protocol") value = "HTTP/1.1";
    else {
      for (const name of operator.names) {
        if (value !== null) break;
        if (operator.of === "request") value = this.#request.get(name) ?? null;
        else value = name === ":status" ? String(template.status) : fields && headerValue(fields, name);
      }
    }
    return template.quote((value ?? "-").slice(0, operator.length));
  }
}

/** The head of a response with another body; `head` is complete, its blank line included. */
export function headWithBody(head: string, body: ErrorBody): string {
  const lines = head.slice(0, -4).split("\r\n");
  const kept = lines.filter(
    (line, index) => index === 0 || !OF_THE_BODY.has(line.slice(0, line.indexOf(":")).toLowerCase()),
  );
  return `${kept.join("\r\n")}\r\ncontent-type: ${body.contentType}\r\ncontent-length: ${body.text.length}\r\n\r\n`;
}

/** Fields that tell of the body that does not come (RFC 9110 §8), and how it would have been framed. */
const OF_THE_BODY = new Set(
  (
    "accept-ranges content-digest content-disposition content-encoding content-language content-length " +
    "content-location content-md5 content-range content-type digest etag last-modified repr-digest trailer " +
    "transfer-encoding"
  ).split(" "),
);

interface Operator {
  readonly of: "status" | "protocol" | "request" | "response" | "nothing";
  /** In lower case; the first that is there counts. */
  readonly names: readonly string[];
  /** Longer values are cut. */
  readonly length: number;
}

interface Template {
  readonly status: number;
  readonly contentType: string;
  readonly parts: readonly (string | Operator)[];
  readonly requestNames: readonly string[];
  readonly quote: (value: string) => string;
}

/** Made ready once for each list of a model. */
const prepared = new WeakMap<readonly ErrorResponse[], readonly Template[]>();

function templatesOf(responses: readonly ErrorResponse[]): readonly Template[] {
  let templates = prepared.get(responses);
  if (templates === undefined) {
    templates = responses.map(templateOf);
    prepared.set(responses, templates);
  }
  return templates;
}

function templateOf({ status, contentType, body, json }: ErrorResponse): Template {
  const parts: (string | Operator)[] = [];
  let from = 0;
  for (const found of body.matchAll(OPERATOR)) {
    parts.push(bytesOf(body.slice(from, found.index)));
    parts.push(found[0] === "%%" ? "%" : operatorOf(found));
    from = found.index + found[0].length;
  }
  parts.push(bytesOf(body.slice(from)));
  const requestNames = parts.flatMap((part) =>
    typeof part !== "string" && part.of === "request" ? part.names : [],
  );
  let quote = (value: string): string => value;
  if (json === true) quote = jsonText;
  // The request's own words may not become markup of our page.
  else if (/html|xml/i.test(contentType)) quote = markupText;
  return { status, contentType, parts, requestNames, quote };
}

const OPERATOR = /%(?:%|([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%)/g;
const KINDS: Readonly<Record<string, Operator["of"]>> = {
  RESPONSE_CODE: "status",
  PROTOCOL: "protocol",
  REQ: "request",
  RESP: "response",
};

function operatorOf([, name = "", argument = "", length]: RegExpMatchArray): Operator {
  return {
    of: Object.hasOwn(KINDS, name) ? (KINDS[name] as Operator["of"]) : "nothing",
    names: argument.toLowerCase().split("?"),
    length: length === undefined ? Number.POSITIVE_INFINITY : Number(length),
  };
}

function requestValue(name: string, head: RequestHead): string | null {
  if (name === ":path") return head.target;
  if (name === ":method") return head.method;
  if (name === ":authority" || name === "host") return head.host;
  return headerValue(head.fields, name);
}

function jsonText(value: string): string {
  return JSON.stringify(value)
    .slice(1, -1)
    .replace(/[\x7f-\xff]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

function markupText(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
