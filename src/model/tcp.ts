import type { ServerTls } from "./tls.ts";

/** A port whose connections are passed on byte by byte (TCPMapping), whatever is spoken on them. */
export interface TcpListener {
  /** `tcp-ADDRESS-PORT`. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** At least one, each server name once; in the order of the names, that without one last. Looked up as virtual hosts are. */
  readonly chains: readonly TcpChain[];
}

/** One TCPMapping group: which connections, and where they go. */
export interface TcpChain {
  /** `a.example`, `*.example` or `*`, in lower case; null: whatever no other chain takes, TLS or not. */
  readonly serverName: string | null;
  readonly tls: TcpTls;
  /** At least one. Weights are whole numbers, the sum of them is what 100 % means. */
  readonly destinations: readonly TcpDestination[];
}

/** `cleartext` is for the chain without a server name, and passes on whatever comes. */
export type TcpTls =
  | ServerTls
  /** The server name is read and nothing is opened: TLS is between the client and the service. */
  | { readonly mode: "passthrough" };

export interface TcpDestination {
  /** The TCPMapping, `tcpmapping/NAMESPACE/NAME`. */
  readonly name: string;
  readonly weight: number;
  readonly action:
    | {
        readonly kind: "forward";
        readonly cluster: string;
        /** Without a byte either way, in milliseconds; 0: no limit. Absent: as the engine's limits say. */
        readonly idleTimeoutMs?: number;
      }
    /** Fails closed: the connection is closed. `code` is the diagnostic that says why. */
    | { readonly kind: "fail"; readonly code: string };
}
