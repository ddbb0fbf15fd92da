import type { ReportedProxy } from "../../admin/report.ts";
import type { AdsClient } from "../../engines/envoy/ads/client.ts";
import type { EnvoySupervisor } from "../../engines/envoy/process/supervisor.ts";

/** Connected Envoys as the diag page shows them; with `own` the one that this process runs, connected or not. */
export function reportedProxies(
  fleet: readonly AdsClient[],
  own?: Pick<EnvoySupervisor, "state">,
): ReportedProxy[] {
  const process = own?.state;
  const connected = fleet.map((client) => ({
    ...reported(client),
    ...(process === undefined ? {} : { process }),
  }));
  if (process === undefined || connected.length > 0)
    return connected.sort((a, b) => (a.node < b.node ? -1 : 1));
  return [{ ...ABSENT, process }];
}

function reported(client: AdsClient): ReportedProxy {
  const { node, identity, software, connectedSince, revision, isSettled, kinds, nacks } = client;
  return {
    node,
    identity,
    software,
    connectedSince: new Date(connectedSince).toISOString(),
    revision: revision === null ? null : Number(revision),
    upToDate: isSettled,
    resources: Object.entries(kinds).map(([kind, { acknowledged, pending }]) => ({
      kind,
      acknowledged: acknowledged.size,
      pending,
    })),
    refused: nacks.map(({ kind, name, detail, at, from, instead }) => ({
      kind,
      name,
      detail,
      at: new Date(at).toISOString(),
      from,
      instead,
    })),
  };
}

const ABSENT: ReportedProxy = {
  node: "gateway",
  identity: "own process",
  software: "envoy",
  connectedSince: null,
  revision: null,
  upToDate: false,
  resources: [],
  refused: [],
};
