import { createClient } from "@connectrpc/connect";
import type { CredentialOrigin } from "../../credentials/credential.ts";
import { type Follower, followStreams, type IssuerSink } from "../../credentials/follower.ts";
import { newestAnswers } from "../../credentials/newest-answers.ts";
import { type Attempt, PersistentStream } from "../../credentials/persistent-stream.ts";
import { SpiffeWorkloadAPI } from "../../protobuf/generated/spiffe/workload_pb.js";
import { grpcTrouble, openGrpcSocket } from "../../protobuf/grpc-socket.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { readSvid, type SvidChoice } from "./svid.ts";

/** An identity of a SPIFFE agent under the name that it has in the credential store. */
export interface SpiffeWanted extends SvidChoice {
  readonly name: string;
  /** Path of the agent's socket; undefined where the environment was to say it and does not. */
  readonly socket: string | undefined;
  readonly dial?: SocketDial | undefined;
  readonly origin: CredentialOrigin;
}

/** Follows the X.509-SVIDs and bundles of SPIFFE agents (Workload API, FetchX509SVID). */
export function createSpiffeFollower(
  sink: Pick<IssuerSink, "offer" | "reportIssuer" | "remove">,
  clock: Clock,
): Follower<SpiffeWanted> {
  return followStreams({
    keyOf: ({ name }) => name,
    withdraw: ({ name }) => sink.remove(name),
    open(wanted, originNow) {
      const { name, socket, dial } = wanted;
      if (socket === undefined) {
        const trouble = "no socket is written, and SPIFFE_ENDPOINT_SOCKET has no unix: path";
        sink.reportIssuer(name, wanted.origin, trouble);
        return [];
      }
      let bundles: ReadonlyMap<string, string> = new Map();
      return [
        new PersistentStream({
          clock,
          explain: (error) => grpcTrouble(error, socket),
          onTrouble: (trouble) => sink.reportIssuer(name, originNow(), trouble),
          async open(attempt: Attempt) {
            const { transport, close } = openGrpcSocket(socket, LONGEST_ANSWER, dial);
            try {
              const answers = createClient(SpiffeWorkloadAPI, transport).fetchX509SVID(
                {},
                {
                  headers: WORKLOAD_HEADER,
                  signal: attempt.signal,
                },
              );
              for await (const answer of newestAnswers(answers, clock, attempt.signal)) {
                const read = readSvid(answer, wanted, bundles);
                if (read.ok) {
                  bundles = read.bundles;
                  sink.offer(name, read.material, originNow());
                }
                if (read.ok && read.trouble === null) attempt.answered();
                else attempt.troubled(`${socket}: ${read.trouble}`);
              }
            } finally {
              close();
            }
          },
        }),
      ];
    },
  });
}

/** SPIFFE Workload Endpoint §6: keeps out requests that somebody was tricked into sending. */
const WORKLOAD_HEADER = { "workload.spiffe.io": "true" };
/** What gRPC takes where nothing is set. */
const LONGEST_ANSWER = 4 * 1024 * 1024;
