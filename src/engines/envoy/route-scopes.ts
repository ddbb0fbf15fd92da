import { createHash } from "node:crypto";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Listener } from "../../model/listener.ts";
import type { ClientAuth } from "../../model/tls.ts";

/**
 * Requests that were held to one and the same check before they may name a host: a cleartext listener, or those handshakes
 * of a TLS listener that were held to one client check. Each scope has a route configuration of its own, in which hosts
 * that need more than the scope's check answer 421.
 */
export interface RouteScope {
  /** The route configuration's name, e.g. `http`, `https:none`, `https:required:secret/default/client-ca`. Never with a `/` that VHDS would split at: see `scopeName`. */
  readonly name: string;
  readonly listener: Listener;
  /** null: cleartext. */
  readonly clients: ClientAuth | null;
}

/** Every scope of the model, sorted by name. */
export function routeScopes(model: GatewayModel): RouteScope[] {
  const scopes = new Map<string, RouteScope>();
  const add = (listener: Listener, clients: ClientAuth | null): void => {
    const name = scopeName(listener, clients);
    scopes.set(name, { name, listener, clients });
  };
  for (const listener of model.listeners) {
    if (listener.transport === "cleartext") add(listener, null);
    else for (const { tls } of model.virtualHosts) if (tls.mode === "terminate") add(listener, tls.clients);
  }
  return [...scopes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Two checks never have one name: whoever was held to the one would be taken for held to the other. */
export function scopeName(listener: Listener, clients: ClientAuth | null): string {
  if (clients === null) return listener.name;
  if (clients.mode === "none") return `${listener.name}:none`;
  const { mode, trust, rules } = clients;
  const name = `${listener.name}:${mode}:${withoutSlashes(trust)}`;
  if (rules === undefined) return name;
  return `${name}:${createHash("sha256").update(JSON.stringify(rules)).digest("base64url").slice(0, 16)}`;
}

/** VHDS splits names at the first `/`. */
function withoutSlashes(name: string): string {
  return name.replace(/[~|:/]/g, (sign) => (sign === "/" ? "|" : `~${sign.charCodeAt(0).toString(16)}`));
}
