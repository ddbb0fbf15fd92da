import type { Severity } from "../diagnostics/diagnostic.ts";

/**
 * Every place where 1.14 was unsafe, or said one thing and did another, that shows in its input. An error is traffic
 * that stops until the edit is made; a warning changes, or stays unsafe; the rest is safer as it is. docs/migrating.md
 * explains each; a test ties the two both ways.
 */
export const MIGRATIONS = {
  // TLS to upstreams
  "cleartext-fallback": "warning",
  "unverified-fallback": "warning",
  "upstream-not-verified": "warning",
  "upstream-name-not-checked": "warning",
  "ca-crt-ignored": "warning",
  "shared-cluster": "warning",
  "context-by-bare-name": "warning",
  "context-another": "warning",
  "context-refused": "info",
  "secret-not-delivered": "info",
  "server-name-not-sent": "info",
  "upstream-tls-12": "info",
  "tls-false-ignored": "warning",
  "tls-over-http-scheme": "info",
  "route-stops": "error",
  // TLS from clients
  "termination-dropped": "error",
  "client-check-dropped": "error",
  "client-certificate-unchecked": "error",
  "client-certificate-bypass": "info",
  "host-stops": "error",
  "unknown-names-served": "warning",
  "host-claimed-twice": "error",
  "redirect-port-conflict": "warning",
  "old-tls-versions": "warning",
  // Hosts
  "host-dropped": "error",
  "host-tls-ignored": "warning",
  "request-policy-global": "warning",
  "reject-is-404": "info",
  // Secrets and configuration
  "module-key-lost": "warning",
  "module-key-stops": "error",
  "credential-unchecked": "error",
  "secret-type-ignored": "error",
  "root-rotation-unseen": "info",
  "keys-on-disk": "info",
  "configuration-frozen": "info",
  "object-not-served": "error",
  "last-one-won": "error",
  "environment-expanded": "warning",
  "access-control-closes": "error",
  "diagnostics-public": "info",
  // Routes
  "lone-weight": "warning",
  "weights-fall-through": "warning",
  "weights-over-100": "warning",
  "group-collision": "warning",
  "group-member-dropped": "warning",
  "namespaces-share-a-route": "warning",
  "keepalive-ignored": "info",
  "service-malformed": "error",
  "mapping-dropped": "error",
  // TCPMapping
  "tcp-shared-context": "warning",
  "tcp-host-never-matched": "warning",
  "tcp-weights": "warning",
  "tcp-idle-timeout-ignored": "info",
  // Meshes
  "consul-datacenter-ignored": "warning",
  "consul-service-unresolved": "warning",
  "consul-peer-unchecked": "warning",
  "istio-peer-unchecked": "warning",
  "linkerd-header-appended": "info",
  "linkerd-port": "info",
  "linkerd-name": "info",
  "linkerd-canary": "info",
} as const satisfies Readonly<Record<string, Severity>>;

export type MigrationCode = keyof typeof MIGRATIONS;
