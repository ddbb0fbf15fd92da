import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { routesOf } from "../../src/engines/envoy/ads/virtual-host-routes.ts";
import { clustersOf } from "../../src/engines/envoy/clusters.ts";
import type { XdsKind, XdsMessages, XdsResource } from "../../src/engines/envoy/resources.ts";
import type { Cluster } from "../../src/model/cluster.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import type { Cluster as ClusterMessage } from "../../src/protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../src/protobuf/generated/envoy/config/core/v3/base_pb.js";
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
    const served = new Set(model.listeners.map(({ name }) => name));
    for (const { name, filterChains, defaultFilterChain } of of(resources, "listener"))
      for (const chain of [...filterChains, defaultFilterChain]) {
        if (chain?.transportSocket === undefined) continue;
        const isRequired = checkTermination(chain.transportSocket, name);
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
  assert.equal(
    validation.value.validationContextSdsSecretConfig?.name,
    `trust:${tls.verification.trust}`,
    "against its own roots",
  );
  const { matchTypedSubjectAltNames = [] } = validation.value.defaultValidationContext ?? {};
  assert.ok(matchTypedSubjectAltNames.length > 0, `${name} verifies a name`);
}

/** Whether clients must show a certificate. */
function checkTermination(socket: TransportSocket, listener: string): boolean {
  const { commonTlsContext, requireClientCertificate } = fromBinary(
    DownstreamTlsContextSchema,
    configOf(socket),
  );
  assert.ok(commonTlsContext !== undefined, listener);
  assert.equal(certificatesOf(commonTlsContext).length, 1, listener);
  const { case: how } = commonTlsContext.validationContextType;
  // Without trust anchors Envoy takes any certificate.
  if (requireClientCertificate === true) assert.equal(how, "validationContextSdsSecretConfig", listener);
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
