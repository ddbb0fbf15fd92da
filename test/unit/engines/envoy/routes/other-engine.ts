import { admit } from "../../../../../src/engines/node/admission.ts";
import { rewritePath } from "../../../../../src/engines/node/path-rewrite.ts";
import { redirectLocation } from "../../../../../src/engines/node/redirect.ts";
import { RequestHead } from "../../../../../src/engines/node/http1/request-head.ts";
import type { Plan } from "../../../../../src/engines/node/plan.ts";
import { RouteTable } from "../../../../../src/engines/node/route-table.ts";
import { CredentialUsers } from "../../../../../src/engines/node/upstream/credential-users.ts";
import { VirtualHostTable } from "../../../../../src/engines/node/virtual-hosts.ts";
import { FAILURE_REASONS } from "../../../../../src/diagnostics/failure.ts";
import type { RouteScope } from "../../../../../src/engines/envoy/route-scopes.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { RedirectAction, Route } from "../../../../../src/model/route.ts";
import type { GeneratedRequest } from "./generated.ts";

export type Verdict =
  | { readonly kind: "refuse"; readonly status: number }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "route"; readonly route: Route };

/** What the node engine decides of a request in a scope, before it draws a destination. */
export class OtherEngine {
  readonly #model: GatewayModel;
  readonly #plan: Plan;

  constructor(model: GatewayModel) {
    this.#model = model;
    this.#plan = {
      revision: 1,
      settings: model.http,
      hosts: new VirtualHostTable(model.virtualHosts),
      routes: new RouteTable(model.routes),
      addresses: null,
      authorizer: null,
      clusters: new Map(),
      credentialUsers: new CredentialUsers(new Set()),
    };
  }

  decide(request: GeneratedRequest, scope: RouteScope): Verdict {
    const head = new RequestHead(100);
    const bytes = headBytes(request);
    const problem = head.parse(bytes, 0, bytes.length - 2);
    if (problem !== null) return { kind: "refuse", status: FAILURE_REASONS[problem.reason] };
    const https = this.#model.listeners.find(({ name }) => name === "https");
    const admission = admit(
      head,
      {
        socket: { remotePort: 1, localAddress: "127.0.0.1", localPort: 1 },
        listener: scope.listener,
        remoteAddress: "127.0.0.1",
        secure: scope.clients !== null,
        serverName: null,
        clients: scope.clients ?? { mode: "none" },
        clientIdentity: null,
        clientCertificate: null,
        ownCertificate: () => null,
        tlsVersion: null,
        tlsCipher: null,
      },
      this.#plan,
      { httpsPort: https?.port ?? null, draining: false },
    );
    switch (admission.kind) {
      case "refuse":
        return { kind: "refuse", status: FAILURE_REASONS[admission.reason] };
      case "redirect":
        return { kind: "redirect", location: admission.location };
      case "route":
        return { kind: "route", route: admission.route };
      case "probe":
        throw new Error("no probe is generated");
    }
  }
}

/** Whether the path of a destination would climb above the root. */
export function climbs(route: Route, index: number, target: string): boolean {
  const action = route.destinations[index]?.action;
  if (action?.kind === "forward") return rewritePath(target, route.match.path, action.rewrite) === null;
  return action?.kind === "redirect" && redirectLocation(action, route.match.path, target, "http") === null;
}

export function headBytes({ method, target, host, headers }: GeneratedRequest): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n${lines.join("")}\r\n`, "latin1");
}

export function pathUpstream(route: Route, index: number, target: string): string | null {
  const action = route.destinations[index]?.action;
  return action?.kind === "forward" ? rewritePath(target, route.match.path, action.rewrite) : null;
}

export function redirectOf(
  action: RedirectAction,
  route: Route,
  target: string,
  scheme: "http" | "https",
): string | null {
  return redirectLocation(action, route.match.path, target, scheme);
}
