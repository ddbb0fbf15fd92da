import type { SeenRequest } from "../support/upstream.ts";

/** What a case may refer to: ports are known only once the peers run. */
export interface CasePeers {
  readonly cleartext: number;
  readonly mtls: number;
  readonly tls: number;
}

/** One behaviour, as data: resources, one request, what must come of it. It names no engine. */
export interface BehaviourCase {
  readonly name: string;
  readonly resources: (peers: CasePeers) => Promise<string> | string;
  /** Sent as it is; `HOST` stands for `localhost`. */
  readonly request: string | readonly string[];
  /** Default `http`. For `https`: SNI, and the client's certificate. */
  readonly via?: "http" | "https";
  readonly serverName?: string;
  readonly clientCertificate?: "trusted" | "stranger";
  readonly expect: {
    /** Of each answer in turn; an empty list: the handshake or connection is refused. */
    readonly statuses: readonly number[];
    /** In the first answer's head. */
    readonly head?: RegExp;
    readonly body?: RegExp;
    /** What the upstream saw of the last request; null: it must have seen none. */
    readonly seen?: ((seen: SeenRequest) => void) | null;
    /** Reason of the newest failure. */
    readonly failure?: string;
  };
}
