import { createClient } from "@connectrpc/connect";
import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import type { Follower } from "../../credentials/follower.ts";
import { type Attempt, PersistentStream } from "../../credentials/persistent-stream.ts";
import { SpiffeWorkloadAPI } from "../../protobuf/generated/spiffe/workload_pb.js";
import { grpcTrouble, openGrpcSocket } from "../../protobuf/grpc-socket.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { readSvid, type SvidChoice } from "./svid.ts";

/** An identity of a SPIFFE agent under the name that it has in the credential store. */
export interface SpiffeWanted extends SvidChoice {
  readonly name: string;
  /** Path of the agent's socket; undefined where the environment was to say it and does not. */
  readonly socket: string | undefined;
  readonly origin: CredentialOrigin;
}

/** The credential store, as an issuer sees it. */
export interface IssuedSink {
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void;
  reportIssuer(name: string, origin: CredentialOrigin, trouble: string | null): void;
  remove(name: string): void;
}

/** Follows the X.509-SVIDs and bundles of SPIFFE agents (Workload API, FetchX509SVID). */
export function createSpiffeFollower(sink: IssuedSink, clock: Clock): Follower<SpiffeWanted> {
  const followed = new Map<string, { origin: CredentialOrigin; readonly stream: PersistentStream | null }>();
  return {
    async follow(wanted) {
      const names = new Set(wanted.map(({ name }) => name));
      for (const [name, { stream }] of followed) {
        if (names.has(name)) continue;
        stream?.stop();
        followed.delete(name);
        sink.remove(name);
      }
      const begun: Promise<void>[] = [];
      for (const each of wanted) {
        const known = followed.get(each.name);
        if (known !== undefined) {
          known.origin = each.origin;
          continue;
        }
        const entry = {
          origin: each.origin,
          stream: each.socket === undefined ? null : open(each, each.socket),
        };
        followed.set(each.name, entry);
        if (entry.stream === null)
          sink.reportIssuer(
            each.name,
            each.origin,
            "no socket is written, and SPIFFE_ENDPOINT_SOCKET has no unix: path",
          );
        else begun.push(entry.stream.first);
      }
      await Promise.all(begun);
    },
    stop() {
      for (const { stream } of followed.values()) stream?.stop();
      followed.clear();
    },
  };

  function open(wanted: SpiffeWanted, socket: string): PersistentStream {
    const { name } = wanted;
    const originNow = (): CredentialOrigin => followed.get(name)?.origin ?? wanted.origin;
    let bundles: ReadonlyMap<string, string> = new Map();
    return new PersistentStream({
      clock,
      explain: (error) => grpcTrouble(error, socket),
      onTrouble: (trouble) => sink.reportIssuer(name, originNow(), trouble),
      async open(attempt: Attempt) {
        const { transport, close } = openGrpcSocket(socket, LONGEST_ANSWER);
        try {
          const answers = createClient(SpiffeWorkloadAPI, transport).fetchX509SVID(
            {},
            {
              headers: WORKLOAD_HEADER,
              signal: attempt.signal,
            },
          );
          for await (const answer of answers) {
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
    });
  }
}

/** SPIFFE Workload Endpoint §6: keeps out requests that somebody was tricked into sending. */
const WORKLOAD_HEADER = { "workload.spiffe.io": "true" };
/** What gRPC takes where nothing is set. */
const LONGEST_ANSWER = 4 * 1024 * 1024;
