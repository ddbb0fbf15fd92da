import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import {
  type Follower,
  followStreams,
  type IssuerSink,
  troublesOfParts,
} from "../../credentials/follower.ts";
import { PersistentStream } from "../../credentials/persistent-stream.ts";
import { grpcTrouble } from "../../protobuf/grpc-socket.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { SecretPart } from "./secret.ts";
import { subscribe } from "./subscription.ts";

/** An identity of Istio's agent under the name that it has in the credential store. */
export interface IstioWanted {
  readonly name: string;
  /** Path of the agent's socket. */
  readonly socket: string;
  readonly dial?: SocketDial | undefined;
  /** The resources: a certificate with its key, and the CA. */
  readonly certificate: string;
  readonly ca: string;
  readonly origin: CredentialOrigin;
}

/** Follows secrets of Istio's agents over SDS. `nodeId`: who asks. */
export function createIstioFollower(
  sink: Pick<IssuerSink, "deliver" | "reportIssuer" | "remove">,
  clock: Clock,
  nodeId: string,
): Follower<IstioWanted> {
  return followStreams({
    keyOf: ({ name }) => name,
    withdraw: ({ name }) => sink.remove(name),
    open({ name, socket, dial, certificate, ca }, originNow) {
      const troubled = troublesOfParts<SecretPart>((trouble) =>
        sink.reportIssuer(name, originNow(), trouble),
      );
      const refused = new Map<SecretPart, string>();
      const say = (part: SecretPart, trouble: string | null): void => {
        const refusal = refused.get(part);
        if (trouble === null || (refusal !== undefined && !trouble.endsWith(refusal))) refused.delete(part);
        troubled(part, trouble);
      };
      /** What was refused may be in use now: the other half of the pair is there. */
      const take = (part: SecretPart, material: CredentialMaterial): string | null => {
        const verdicts = sink.deliver(name, material, originNow());
        const other = part === "ca" ? "certificate" : "ca";
        if (refused.has(other) && verdicts[other] === null) say(other, null);
        const refusal = verdicts[part];
        if (refusal !== null) refused.set(part, refusal);
        return refusal;
      };
      const stream = (part: SecretPart, resource: string): PersistentStream =>
        new PersistentStream({
          clock,
          explain: (error) => grpcTrouble(error, socket),
          onTrouble: (trouble) => say(part, trouble),
          open: subscribe({
            socket,
            dial,
            nodeId,
            resource,
            part,
            clock,
            take: (material) => take(part, material),
          }),
        });
      return [stream("certificate", certificate), stream("ca", ca)];
    },
  });
}
