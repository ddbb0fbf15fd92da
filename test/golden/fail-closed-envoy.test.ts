import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { routesOf } from "../../src/engines/envoy/ads/virtual-host-routes.ts";
import { clustersOf } from "../../src/engines/envoy/clusters.ts";
import type { XdsKind, XdsMessages, XdsResource } from "../../src/engines/envoy/resources.ts";
import type { Cluster } from "../../src/model/cluster.ts";
import type { PeerRules } from "../../src/model/tls.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import type { Cluster as ClusterMessage } from "../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../src/protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { CertificateValidationContext } from "../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { goldenCases } from "./case.ts";
import { runOnEnvoy } from "./envoy.ts";

// Whatever a case is about: nothing of it becomes weaker on its way from the model to what an Envoy is told.

for (const golden of goldenCases()) {
  test(`${golden.name}: Envoy is told nothing weaker than the model`, () => {
    const { model, resources } = runOnEnvoy(golden);
    const clusters = new Map(clustersOf(model).map((cluster) => [cluster.name, cluster]));
    for (const message of of(resources, "cluster")) {
      const wanted = clusters.get(message.name);
      assert.ok(wanted !== undefined, `${message.name} is in the model`);
      checkUpstream(message, wanted);
    }
    assert.equal(of(resources, "cluster").length, clusters.size);
    const leading = clustersByRoute(model);
    for (const host of of(resources, "virtual-host"))
      for (const { name, action } of routesOf(host)) {
        if (action.case !== "route") continue;
        const { clusterSpecifier } = action.value;
        assert.equal(clusterSpecifier.case, "cluster", name);
        assert.ok(
          leading.get(name)?.has(String(clusterSpecifier.value)),
          `${name} leads to ${clusterSpecifier.value}, which the model does not say`,
        );
      }
    // Else nothing is routed, and nothing has a place.
    const isServed = model.virtualHosts.some(
      ({ tls, cleartext }) => tls.mode === "terminate" || cleartext === "route",
    );
    const closed = new Set(
      of(resources, "virtual-host").flatMap((host) =>
        routesOf(host).flatMap(({ name, action }) => (action.case === "directResponse" ? [name] : [])),
      ),
    );
    for (const { name, action, weight } of model.routes.flatMap(({ destinations }) => destinations))
      if (isServed && action.kind === "fail" && weight > 0)
        assert.ok(closed.has(name), `${name} keeps its place`);
    const asked = new Set(
      model.virtualHosts.flatMap(({ domain, tls }) =>
        tls.mode === "terminate" && tls.clients.mode === "required" ? [domain] : [],
      ),
    );
    const terminated = [
      ...model.virtualHosts,
      ...(model.tcpListeners ?? []).flatMap(({ chains }) => chains),
    ].flatMap(({ tls }) => (tls.mode === "terminate" && tls.clients.mode !== "none" ? [tls.clients] : []));
    const clients = Map.groupBy(terminated, ({ trust, rules }) => trustOf(trust, rules));
    const served = new Set(model.listeners.map(({ name }) => name));
    for (const { name, filterChains, defaultFilterChain } of of(resources, "listener"))
      for (const chain of [...filterChains, defaultFilterChain]) {
        if (chain?.transportSocket === undefined) continue;
        const isRequired = checkTermination(chain.transportSocket, name, clients);
        const names = chain.filterChainMatch?.serverNames ?? [];
        if (served.has(name) && names.some((domain) => asked.has(domain)))
          assert.ok(isRequired, names.join());
      }
  });
}

function of<Kind extends XdsKind>(resources: readonly XdsResource[], kind: Kind): XdsMessages[Kind][] {
  return resources.flatMap((each) => (each.kind === kind ? [each.message as XdsMessages[Kind]] : []));
}

function checkUpstream(
  { name, transportSocket, transportSocketMatches }: ClusterMessage,
  { tls }: Cluster,
): void {
  assert.deepEqual(transportSocketMatches, [], "one socket for all of its hosts");
  if (tls.mode === "cleartext") {
    assert.equal(transportSocket, undefined, name);
    return;
  }
  const { commonTlsContext } = fromBinary(UpstreamTlsContextSchema, configOf(transportSocket));
  assert.ok(commonTlsContext !== undefined, name);
  assert.deepEqual(
    certificatesOf(commonTlsContext),
    tls.credential === undefined ? [] : [`credential:${tls.credential}`],
    name,
  );
  const { validationContextType: validation } = commonTlsContext;
  if (tls.verification.mode === "none") {
    assert.equal(validation.case, undefined, name);
    return;
  }
  assert.ok(validation.case === "combinedValidationContext", `${name} verifies`);
  const { trust, rules } = tls.verification;
  assert.equal(
    validation.value.validationContextSdsSecretConfig?.name,
    trustOf(trust, rules),
    "against its own roots and lists",
  );
  const told = validation.value.defaultValidationContext;
  assert.ok((told?.matchTypedSubjectAltNames ?? []).length > 0, `${name} verifies a name`);
  assert.equal(rules?.maxDepth, undefined, "Envoy does not heed it");
  checkRules(told, rules, name);
}

function trustOf(trust: string, rules: PeerRules | undefined): string {
  const lists = rules?.revocation === undefined ? "" : `+crl:${rules.revocation.crl}`;
  return `trust:${trust}${domainOf(rules)}${lists}`;
}

/** Of peers of one trust domain, for whom Envoy is given the CAs of that one alone. */
function domainOf({ identities, spkiSha256, maxDepth, revocation }: PeerRules = {}): string {
  const { dnsNames, spiffeIds = [], trustDomains = [] } = identities ?? {};
  const domains = new Set([...trustDomains, ...spiffeIds.map((id) => new URL(id).host)]);
  const isAsked = spkiSha256 !== undefined || maxDepth !== undefined || revocation !== undefined;
  return isAsked && dnsNames === undefined && domains.size === 1 ? `+domain:${[...domains][0]}` : "";
}

function checkRules(
  told: CertificateValidationContext | undefined,
  { identities, spkiSha256, maxDepth, revocation }: PeerRules = {},
  what: string,
): void {
  assert.deepEqual(told?.verifyCertificateSpki ?? [], spkiSha256 ?? [], what);
  const { dnsNames = [], spiffeIds = [], trustDomains = [] } = identities ?? {};
  const count = dnsNames.length + spiffeIds.length + trustDomains.length;
  if (count > 0) assert.equal(told?.matchTypedSubjectAltNames.length, count, what);
  // For clients; of upstreams Envoy does not heed it.
  assert.equal(told?.maxVerifyDepth, maxDepth === undefined ? undefined : maxDepth + 1, what);
  assert.ok(revocation === undefined || revocation.policy === "require", "Envoy knows no other");
}

function isKept(told: CertificateValidationContext | undefined, rules: PeerRules | undefined): boolean {
  try {
    checkRules(told, rules, "");
    return true;
  } catch {
    return false;
  }
}

/** Whether clients must show a certificate. `clients`: the rules of those that a secret is for. */
function checkTermination(
  socket: TransportSocket,
  listener: string,
  clients: ReadonlyMap<string, readonly { readonly rules?: PeerRules }[]>,
): boolean {
  const { commonTlsContext, requireClientCertificate } = fromBinary(
    DownstreamTlsContextSchema,
    configOf(socket),
  );
  assert.ok(commonTlsContext !== undefined, listener);
  assert.equal(certificatesOf(commonTlsContext).length, 1, listener);
  const { validationContextType: validation } = commonTlsContext;
  // Without trust anchors Envoy takes any certificate.
  const secret =
    validation.case === "combinedValidationContext"
      ? validation.value.validationContextSdsSecretConfig
      : validation.case === "validationContextSdsSecretConfig"
        ? validation.value
        : undefined;
  if (requireClientCertificate === true) assert.match(secret?.name ?? "", /^trust:/, listener);
  if (validation.case !== undefined) {
    const told =
      validation.case === "combinedValidationContext" ? validation.value.defaultValidationContext : undefined;
    const rules = (clients.get(secret?.name ?? "") ?? []).map((each) => each.rules);
    assert.ok(
      rules.some((each) => isKept(told, each)),
      `${listener} keeps to the rules of a host`,
    );
  }
  return requireClientCertificate === true;
}

function configOf(socket: TransportSocket | undefined): Uint8Array {
  assert.ok(socket?.configType.case === "typedConfig", "TLS, and no other socket");
  assert.equal(socket.name, "envoy.transport_sockets.tls");
  return socket.configType.value.value;
}

/** By name, and never with their keys. */
function certificatesOf({ tlsCertificates, tlsCertificateSdsSecretConfigs }: CommonTlsContext): string[] {
  assert.deepEqual(tlsCertificates, []);
  return tlsCertificateSdsSecretConfigs.map(({ name }) => name);
}

/** Where requests of each Mapping may go; a route that fails closed leads nowhere. */
function clustersByRoute({ routes }: GatewayModel): Map<string, Set<string>> {
  const clusters = new Map<string, Set<string>>();
  for (const { name, action } of routes.flatMap(({ destinations }) => destinations)) {
    const known = clusters.get(name) ?? new Set();
    if (action.kind === "forward") known.add(action.cluster);
    clusters.set(name, known);
  }
  return clusters;
}
