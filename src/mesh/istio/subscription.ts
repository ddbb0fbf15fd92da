import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import type { CredentialMaterial } from "../../credentials/credential.ts";
import { newestAnswers } from "../../credentials/newest-answers.ts";
import type { Attempt } from "../../credentials/persistent-stream.ts";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from "../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { SecretDiscoveryService } from "../../protobuf/generated/envoy/service/secret/v3/sds_pb.js";
import { openGrpcSocket } from "../../protobuf/grpc-socket.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { readSecret, SECRET_TYPE, type SecretPart } from "./secret.ts";

/** One secret of an SDS server, asked for as Envoy asks: by a stream of its own. */
export interface Subscription {
  readonly socket: string;
  readonly dial?: SocketDial | undefined;
  readonly nodeId: string;
  readonly resource: string;
  readonly part: SecretPart;
  readonly clock: Clock;
  /** What is against it, one sentence; null: it is in use. */
  readonly take: (material: CredentialMaterial) => string | null;
}

/**
 * Subscribes (xDS, state of the world) and acknowledges: what is not usable is refused (NACK), and the version taken
 * before goes on being named, on the next stream too. Returns what keeps a stream, for as long as it lasts.
 */
export function subscribe(subscription: Subscription): (attempt: Attempt) => Promise<void> {
  const { socket, dial, nodeId, resource, part, clock, take } = subscription;
  let version = "";
  return async ({ signal, answered, troubled }) => {
    const { transport, close } = openGrpcSocket(socket, LONGEST_ANSWER, dial);
    const requests = new Requests(signal);
    const ask = (more: { responseNonce?: string; refusal?: string }): void => {
      const { responseNonce = "", refusal } = more;
      requests.push(
        create(DiscoveryRequestSchema, {
          typeUrl: SECRET_TYPE,
          versionInfo: version,
          resourceNames: [resource],
          responseNonce,
          // Servers look at it in the first request; Istio's agent logs it.
          node: { id: nodeId, userAgentName: "credence" },
          ...(refusal === undefined ? {} : { errorDetail: { code: Code.InvalidArgument, message: refusal } }),
        }),
      );
    };
    try {
      ask({});
      const answers = createClient(SecretDiscoveryService, transport).streamSecrets(requests, { signal });
      for await (const answer of newestAnswers(answers, clock, signal)) {
        const read = readSecret(answer, resource, part);
        const refusal = typeof read === "string" ? read : take(read);
        if (refusal === null) {
          version = answer.versionInfo;
          answered();
          ask({ responseNonce: answer.nonce });
        } else {
          troubled(`${socket}: ${refusal}`);
          ask({ responseNonce: answer.nonce, refusal });
        }
      }
    } finally {
      requests.end();
      close();
    }
  };
}

/** As much as a Secret may hold, several times. */
const LONGEST_ANSWER = 4 * 1024 * 1024;

/**
 * What is said on a stream. Of what a server has not read yet the latest counts, as it is about the latest answer: one that
 * sends and never reads fills no memory.
 */
export class Requests implements AsyncIterable<DiscoveryRequest> {
  #next: DiscoveryRequest | null = null;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.end(), { once: true });
  }

  push(request: DiscoveryRequest): void {
    this.#next = request;
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DiscoveryRequest> {
    while (!this.#isOver) {
      const next = this.#next;
      this.#next = null;
      if (next !== null) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
