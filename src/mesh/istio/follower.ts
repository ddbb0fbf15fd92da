import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import type { Follower } from "../../credentials/follower.ts";
import { PersistentStream } from "../../credentials/persistent-stream.ts";
import { grpcTrouble } from "../../protobuf/grpc-socket.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { SecretPart } from "./secret.ts";
import { subscribe } from "./subscription.ts";

/** An identity of Istio's agent under the name that it has in the credential store. */
export interface IstioWanted {
  readonly name: string;
  /** Path of the agent's socket. */
  readonly socket: string;
  /** The resources: a certificate with its key, and the CA. */
  readonly certificate: string;
  readonly ca: string;
  readonly origin: CredentialOrigin;
}

/** The credential store, as an issuer sees it that delivers a certificate and its CA apart. */
export interface PartsSink {
  deliver(name: string, material: CredentialMaterial, origin: CredentialOrigin): string | null;
  reportIssuer(name: string, origin: CredentialOrigin, trouble: string | null): void;
  remove(name: string): void;
}

/** Follows secrets of Istio's agents over SDS. `nodeId`: who asks. */
export function createIstioFollower(sink: PartsSink, clock: Clock, nodeId: string): Follower<IstioWanted> {
  const followed = new Map<string, Followed>();
  return {
    async follow(wanted) {
      const names = new Set(wanted.map(({ name }) => name));
      for (const [name, { streams }] of followed) {
        if (names.has(name)) continue;
        for (const stream of streams) stream.stop();
        followed.delete(name);
        sink.remove(name);
      }
      for (const each of wanted) {
        const known = followed.get(each.name);
        if (known === undefined) followed.set(each.name, open(each));
        else known.origin = each.origin;
      }
      await Promise.all([...followed.values()].flatMap(({ streams }) => streams.map(({ first }) => first)));
    },
    stop() {
      for (const { streams } of followed.values()) for (const stream of streams) stream.stop();
      followed.clear();
    },
  };

  function open({ name, socket, certificate, ca, origin }: IstioWanted): Followed {
    const troubles = new Map<SecretPart, string>();
    const stream = (part: SecretPart, resource: string): PersistentStream =>
      new PersistentStream({
        clock,
        explain: (error) => grpcTrouble(error, socket),
        onTrouble(trouble) {
          if (trouble === null) troubles.delete(part);
          else troubles.set(part, trouble);
          const said = [...new Set(troubles.values())].join("; ");
          sink.reportIssuer(name, entry.origin, said === "" ? null : said);
        },
        open: subscribe({
          socket,
          nodeId,
          resource,
          part,
          take: (material) => sink.deliver(name, material, entry.origin),
        }),
      });
    const entry: Followed = { origin, streams: [] };
    entry.streams = [stream("certificate", certificate), stream("ca", ca)];
    return entry;
  }
}

interface Followed {
  origin: CredentialOrigin;
  streams: readonly PersistentStream[];
}
