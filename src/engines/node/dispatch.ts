import { STATUS_CODES } from "node:http";
import type { FailureReason } from "../../diagnostics/failure.ts";
import type { ForwardAction, HeaderChanges, Mirror, Route } from "../../model/route.ts";
import { choose } from "./admission.ts";
import { certificateElement, clientCertificateHeader } from "./client-certificate-header.ts";
import { allowsOrigin, CORS_FIELDS, isPreflight, originOf, preflightLines, responseLines } from "./cors.ts";
import { FIELD } from "./http1/fields.ts";
import { firstValue, upstreamHead } from "./http1/forward.ts";
import { HeaderEditor } from "./http1/header-changes.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { AcceptedConnection } from "./listener.ts";
import { rewritePath } from "./path-rewrite.ts";
import type { Plan } from "./plan.ts";
import { redirectLocation } from "./redirect.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";

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
      /** As it goes upstream. */
      readonly head: string;
      /** Changes the response's head; null: it goes on as it is. */
      readonly editResponse: ((head: string) => string) | null;
      /** Who gets a copy. */
      readonly mirror: Mirror | undefined;
    };

/** The steps stand in the order in which each may end the request before the next would cost anything. */
export function dispatch(
  head: RequestHead,
  accepted: AcceptedConnection,
  plan: Plan,
  admitted: { readonly route: Route; readonly path: string },
  requestId: string,
): Dispatch {
  const { route, path } = admitted;
  const { action, name } = choose(route);
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
    return { kind: "answer", name, status: action.status, lines: `location: ${location}\r\n` };
  }

  // 4. What the upstream could not be given as it was sent.
  const { maxBodyBytes } = plan.settings;
  if (maxBodyBytes !== undefined && head.contentLength > maxBodyBytes)
    return fail("body_too_large", `more than ${maxBodyBytes} bytes`);
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
  const cors = allowed && route.cors !== undefined ? responseLines(route.cors, origin) : "";
  return {
    kind: "forward",
    name,
    action,
    cluster,
    head: edit(text, action.requestHeaders),
    editResponse: responseEdit(action.responseHeaders, cors),
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

function certificateHeader(head: RequestHead, accepted: AcceptedConnection, plan: Plan): string | null {
  if (plan.settings.clientCertificate === undefined) return null;
  const { mode, details } = plan.settings.clientCertificate;
  const sent = firstValue(head.fields, FIELD.clientCertificate);
  const { clientCertificate } = accepted;
  return clientCertificateHeader(
    mode,
    sent === "" ? null : sent,
    clientCertificate === null
      ? null
      : () => certificateElement(clientCertificate, accepted.ownCertificate(), details),
  );
}

function responseEdit(changes: HeaderChanges | undefined, cors: string): ((head: string) => string) | null {
  if (changes === undefined && cors === "") return null;
  return (head) => {
    const changed = edit(head, changes);
    return cors === "" ? changed : `${CORS_EDITOR.edit(changed).slice(0, -2)}${cors}\r\n`;
  };
}

const CORS_EDITOR = new HeaderEditor({ remove: [...CORS_FIELDS] });

/** Changes are part of a model, and made ready once. */
const editors = new WeakMap<HeaderChanges, HeaderEditor>();

function edit(head: string, changes: HeaderChanges | undefined): string {
  if (changes === undefined) return head;
  let editor = editors.get(changes);
  if (editor === undefined) {
    editor = new HeaderEditor(changes);
    editors.set(changes, editor);
  }
  return editor.edit(head);
}
