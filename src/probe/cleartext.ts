import type { Endpoint } from "../endpoints/endpoint.ts";
import { dial } from "./dial.ts";
import { failureOf, type ProbeFailure } from "./failure.ts";
import type { Offer } from "./offer.ts";
import type { Step } from "./report.ts";

/**
 * A service that is spoken to in cleartext: whether it takes connections, and whether it is TLS that it speaks. A
 * ClientHello is all that it is sent, by which a peer that speaks TLS gives itself away.
 */
export async function probeCleartext(
  endpoint: Endpoint,
  serverName: string | null,
  timeoutMs: number,
): Promise<
  | { readonly unconnected: ProbeFailure }
  | {
      readonly steps: readonly Step[];
      readonly failures: readonly ProbeFailure[];
      readonly outcome?: undefined;
    }
> {
  const outcome = await dial(endpoint, { ...HELLO, serverName }, { timeoutMs, settleMs: 0 });
  if (outcome.stage === "connecting") return { unconnected: failureOf(outcome) ?? UNCONNECTED };
  const connect = { step: "connect", status: "ok", says: "it takes connections", details: [] } as const;
  const { serverHello, alerts } = outcome.transcript;
  if (serverHello === null && alerts.every(({ by }) => by === "client")) {
    const says = "it does not answer a ClientHello with TLS: it is spoken to in cleartext, as it should be";
    return { steps: [connect, { step: "hello", status: "ok", says, details: [] }], failures: [] };
  }
  const says = "it answers a ClientHello with TLS, and it is spoken to in cleartext";
  return {
    steps: [connect, { step: "hello", status: "failed", says, details: [] }],
    failures: [{ reason: "tls_peer", step: "hello", says }],
  };
}

const UNCONNECTED: ProbeFailure = { reason: "connect_failed", step: "connect", says: "no connection" };
const HELLO: Offer = {
  parameters: { minVersion: "v1.0", maxVersion: "v1.3", cipherSuites: [], groups: [], alpn: [] },
  alpn: [],
  serverName: null,
  certificate: null,
  anchors: [],
};
