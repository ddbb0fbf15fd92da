import { STATUS_CODES } from "node:http";
import type { FailureReason } from "../../diagnostics/failure.ts";
import type { Destination, ForwardAction, HeaderChanges, Mirror, Route } from "../../model/route.ts";
import type { AuthQuestion } from "./auth/authorizer.ts";
import { certificateElement, clientCertificateHeader } from "./client-certificate-header.ts";
import { allowsOrigin, CORS_FIELDS, isPreflight, originOf, preflightLines, responseLines } from "./cors.ts";
import { type FormatValues, format, formatValues } from "./format-string.ts";
import { bytesOf, FIELD } from "./http1/fields.ts";
import { upstreamHead, wholeValue } from "./http1/forward.ts";
import { HeaderEditor } from "./http1/header-changes.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { ConnectionFacts } from "./listener.ts";
import { rewritePath } from "./path-rewrite.ts";
import type { Plan } from "./plan.ts";
import { redirectLocation } from "./redirect.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";
import { chooseByWeight } from "./weighted-choice.ts";

/** What becomes of a request whose route is known. `name` is the Mapping that decided. */
export type Dispatch =
  | { readonly kind: "fail"; readonly name: string; readonly reason: FailureReason; readonly cause: string }
  /** `lines` are header lines. */
  | { readonly kind: "answer"; readonly name: string; readonly status: number; readonly lines: string }
  | {
      readonly kind: "forward";
      readonly name: string;
      readonly action: ForwardAction;
      readonly cluster: UpstreamCluster;
      /** As it goes upstream, unless a question says otherwise. */
      readonly head: string;
      /** To be asked before anything goes upstream; null: nobody is asked. */
      readonly question: AuthQuestion | null;
      /** Changes the response's head; null: it goes on as it is. */
      readonly editResponse: ((head: string) => string) | null;
      /** Who gets a copy. */
      readonly mirror: Mirror | undefined;
    };

/** The steps stand in the order in which each may end the request before the next would cost anything. */
export function dispatch(
  head: RequestHead,
  accepted: ConnectionFacts,
  plan: Plan,
  admitted: { readonly route: Route; readonly path: string },
  requestId: string,
  { action, name }: Destination = chooseByWeight(admitted.route.destinations),
): Dispatch {
  const { route, path } = admitted;
  const fail = (reason: FailureReason, cause: string): Dispatch => ({ kind: "fail", name, reason, cause });

  // 1. Fails closed: before CORS, which would tell a browser that all is well.
  if (action.kind === "fail") return fail("route_fails_closed", action.code);

  // 2. A preflight is answered here, and carries no credentials: it needs no authorization.
  const origin = route.cors === undefined ? null : originOf(head.fields);
  const allowed = route.cors !== undefined && origin !== null && allowsOrigin(route.cors, origin);
  if (route.cors !== undefined && allowed && isPreflight(head.method, head.fields))
    return { kind: "answer", name, status: 200, lines: preflightLines(route.cors, origin) };

  // 3. A redirect asks nothing of an upstream.
  if (action.kind === "redirect") {
    const location = redirectLocation(action, route.match.path, path, accepted.secure ? "https" : "http");
    if (location === null) return fail("bad_request", "path climbs above the root once rewritten");
    const lines = `location: ${location}\r\n`;
    if (action.responseHeaders === undefined) return { kind: "answer", name, status: action.status, lines };
    const edited = edit(`x\r\n${lines}\r\n`, action.responseHeaders, () =>
      formatValues(head, accepted, plan),
    );
    return { kind: "answer", name, status: action.status, lines: edited.slice(3, -2) };
  }

  // 4. What the upstream could not be given as it was sent.
  const { maxBodyBytes } = plan.settings;
  if (maxBodyBytes !== undefined && head.contentLength > maxBodyBytes)
    return fail("body_too_large", `more than ${maxBodyBytes} bytes`);
  const authorizer = route.bypassAuth === true ? null : plan.authorizer;
  if (authorizer?.tooLarge(head.contentLength) === true)
    return fail("body_too_large", "more than the AuthService may be shown");
  if (head.upgrade !== "" && route.upgrades?.includes(head.upgrade) !== true)
    return fail("upgrade_refused", `${head.upgrade} is not among the Mapping's allow_upgrade`);

  // 5. Forward.
  const cluster = plan.clusters.get(action.cluster);
  if (cluster === undefined) return fail("route_fails_closed", `no cluster ${action.cluster}`);
  const rewritten = rewritePath(path, route.match.path, action.rewrite);
  if (rewritten === null) return fail("bad_request", "path climbs above the root once rewritten");
  const text = upstreamHead(head, {
    settings: plan.settings,
    path: rewritten,
    remoteAddress: accepted.remoteAddress,
    secure: accepted.secure,
    requestId,
    hostRewrite: action.hostRewrite,
    clientCertificate: certificateHeader(head, accepted, plan),
  });
  const values = (): FormatValues => formatValues(head, accepted, plan);
  const question =
    authorizer === null
      ? null
      : authorizer.ask(head, text, path, laterEdit(action.requestHeaders, values) ?? AS_IT_IS);
  if (authorizer !== null && question === null) return fail("route_fails_closed", "no cluster to ask");
  const cors = allowed && route.cors !== undefined ? responseLines(route.cors, origin) : "";
  return {
    kind: "forward",
    name,
    action,
    cluster,
    head: question === null ? edit(text, action.requestHeaders, values) : text,
    question,
    editResponse: responseEdit(action.responseHeaders, cors, values),
    mirror: route.mirror,
  };
}

/** A response of our own without a body. */
export function answerText(status: number, lines: string, serverName: string, close: boolean): string {
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nserver: ${serverName}\r\ndate: ${new Date().toUTCString()}\r\n` +
    `${lines}content-length: 0\r\n${close ? "connection: close\r\n" : ""}\r\n`
  );
}

function certificateHeader(head: RequestHead, accepted: ConnectionFacts, plan: Plan): string | null {
  if (plan.settings.clientCertificate === undefined) return null;
  const { mode, details } = plan.settings.clientCertificate;
  const sent = wholeValue(head.fields, FIELD.clientCertificate);
  const { clientCertificate } = accepted;
  return clientCertificateHeader(
    mode,
    sent === "" ? null : sent,
    clientCertificate === null
      ? null
      : () => certificateElement(clientCertificate, accepted.ownCertificate(), details),
  );
}

function responseEdit(
  changes: HeaderChanges | undefined,
  cors: string,
  values: () => Partial<FormatValues>,
): ((head: string) => string) | null {
  const change = laterEdit(changes, values);
  if (cors === "") return change;
  return (head) => {
    const changed = change === null ? head : change(head);
    return `${CORS_EDITOR.edit(changed).slice(0, -2)}${cors}\r\n`;
  };
}

/** An edit for when an answer has come; null where there is nothing to change. */
function laterEdit(
  changes: HeaderChanges | undefined,
  values: () => Partial<FormatValues>,
): ((head: string) => string) | null {
  if (changes === undefined) return null;
  // Taken now: by then the parser holds another request's head.
  const taken = editorOf(changes).hasOperators ? values() : NO_VALUES;
  return (head) => edit(head, changes, () => taken);
}

const NO_VALUES: Partial<FormatValues> = {};
const AS_IT_IS = (head: string): string => head;

const CORS_EDITOR = new HeaderEditor({ remove: [...CORS_FIELDS] });

/** Changes are part of a model, and made ready once. */
const editors = new WeakMap<HeaderChanges, HeaderEditor>();

function editorOf(changes: HeaderChanges): HeaderEditor {
  let editor = editors.get(changes);
  if (editor === undefined) {
    const add = changes.add?.map((line) => ({ ...line, value: bytesOf(line.value) }));
    editor = new HeaderEditor(add === undefined ? changes : { ...changes, add });
    editors.set(changes, editor);
  }
  return editor;
}

function edit(head: string, changes: HeaderChanges | undefined, values: () => Partial<FormatValues>): string {
  if (changes === undefined) return head;
  const editor = editorOf(changes);
  return editor.hasOperators ? editor.edit(head, (lines) => format(lines, values())) : editor.edit(head);
}
