import type { AuthDestination, Authorization } from "../../../model/auth.ts";
import { bytesOf, FIELD, type FieldLines } from "../http1/fields.ts";
import { HeaderEditor } from "../http1/header-changes.ts";
import type { RequestHead } from "../http1/request-head.ts";
import type { UpstreamCluster } from "../upstream/cluster.ts";
import { chooseByWeight } from "../weighted-choice.ts";

/** What is asked about one request: a question for an authorization service, and what becomes of the answer. */
export interface AuthQuestion {
  readonly authorizer: Authorizer;
  readonly service: AuthDestination;
  readonly cluster: UpstreamCluster;
  /** The question's head without its framing and blank line. */
  readonly head: string;
  readonly isHead: boolean;
  /** The client's body is framed in chunks. */
  readonly chunked: boolean;
  /** A body comes, and the service is to see its beginning. */
  readonly needsBody: boolean;
  /** The head that goes upstream once the request is allowed, with what the service says of it. */
  readonly allow: (lines: readonly AnswerLine[]) => string;
}

/** A header of the service's answer; the name in lower case. */
export interface AnswerLine {
  readonly name: string;
  readonly value: string;
}

/** Turns requests into questions, and answers into changes of the request (Envoy's ext_authz over HTTP). Made once a plan. */
export class Authorizer {
  readonly settings: Authorization;
  /** Headers that the service's answers bring. A client's trailer may not add to them (RFC 9110 §6.5.1). */
  readonly taken: ReadonlySet<string>;
  readonly #clusters: ReadonlyMap<string, UpstreamCluster>;
  readonly #shown: ReadonlySet<string>;
  readonly #added: string;

  constructor(settings: Authorization, clusters: ReadonlyMap<string, UpstreamCluster>) {
    const { shown, added = [], taken } = settings;
    this.settings = settings;
    this.#clusters = clusters;
    const replaced = new Set(added.map(({ name }) => name));
    this.#shown = new Set(shown.filter((name) => !replaced.has(name)));
    this.taken = new Set(taken);
    this.#added = added.map(({ name, value }) => `${name}: ${bytesOf(value)}\r\n`).join("");
  }

  /**
   * The question about a request: `upstreamHead` is what would go upstream before the route's own changes, `path` the one
   * that was matched, `edit` the route's changes. Null where the service has no cluster.
   */
  ask(
    head: RequestHead,
    upstreamHead: string,
    path: string,
    edit: (head: string) => string,
  ): AuthQuestion | null {
    const { pathPrefix = "", body, services } = this.settings;
    const service = chooseByWeight(services);
    const cluster = this.#clusters.get(service.cluster);
    if (cluster === undefined) return null;
    let text = `${head.method} ${pathPrefix}${path} HTTP/1.1\r\nhost: ${head.host}\r\n`;
    for (const { line, name } of linesOf(upstreamHead)) if (this.#shown.has(name)) text += `${line}\r\n`;
    text += this.#added;
    if (service.linkerd !== undefined) text += `l5d-dst-override: ${service.linkerd}\r\n`;
    const needsBody = body !== undefined && (head.chunked || head.contentLength > 0);
    return {
      authorizer: this,
      service,
      cluster,
      head: text,
      isHead: head.method === "HEAD",
      chunked: head.chunked,
      needsBody,
      allow: (lines) => edit(this.#rewrite(upstreamHead, lines, needsBody)),
    };
  }

  /** A body is known to be larger than the service may be shown, and it may not be shown a part. */
  tooLarge(length: number): boolean {
    const { body } = this.settings;
    return body !== undefined && !body.allowPartial && length > body.maxBytes;
  }

  /** Headers of an answer that go on; `all` are those of a refusal, which has a body to be described. */
  takeFrom(fields: FieldLines, nominated: readonly string[], refusal: boolean): AnswerLine[] {
    const lines: AnswerLine[] = [];
    for (let index = 0; index < fields.count; index++) {
      const name = fields.name(index);
      const taken = this.taken.has(name) || (refusal && OF_A_REFUSAL.has(name));
      if (taken && fields.id[index] !== FIELD.contentLength && !nominated.includes(name))
        lines.push({ name, value: fields.value(index) });
    }
    return lines;
  }

  /**
   * The service's headers replace the client's. Those that it alone may set are taken from the client even where it sets
   * none: an upstream that trusts `x-user-id` would believe a client that sent one along with an anonymous request.
   */
  #rewrite(head: string, lines: readonly AnswerLine[], needsBody: boolean): string {
    const { owned = [] } = this.settings;
    // What was collected has been asked for already (RFC 9110 §10.1.1).
    const remove = [...owned, ...lines.map(({ name }) => name), ...(needsBody ? ["expect"] : [])];
    if (remove.length === 0) return head;
    return new HeaderEditor({ remove, add: lines.map((line) => ({ ...line, append: true })) }).edit(head);
  }
}

/** What describes a refusal's body, and whether it may be kept. */
const OF_A_REFUSAL = new Set([
  "content-type",
  "content-language",
  "content-encoding",
  "cache-control",
  "retry-after",
]);

function linesOf(head: string): { line: string; name: string }[] {
  return head
    .slice(head.indexOf("\r\n") + 2, -4)
    .split("\r\n")
    .map((line) => ({ line, name: line.slice(0, line.indexOf(":")).toLowerCase() }));
}
