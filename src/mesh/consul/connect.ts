import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import {
  type Follower,
  followStreams,
  type IssuerSink,
  troublesOfParts,
} from "../../credentials/follower.ts";
import { PersistentStream } from "../../credentials/persistent-stream.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Answer } from "./agent.ts";
import { AgentTrouble, type Environment } from "./agent-environment.ts";
import { consulTrouble, followQuery } from "./blocking-query.ts";

/** A service's identity in Consul Connect, under the name that it has in the credential store. */
export interface ConnectWanted {
  readonly name: string;
  /** Of the agent, as written; undefined where no ConsulResolver has the name given. */
  readonly address: string | undefined;
  readonly service: string;
  readonly env: Environment;
  /** Of a socket; absent: any. */
  readonly dial?: SocketDial | undefined;
  readonly origin: CredentialOrigin;
}

/** Follows leaf certificates of services and the roots of their CA, as Consul's agents have them. */
export function createConsulConnect(
  sink: Pick<IssuerSink, "offer" | "reportIssuer" | "remove">,
  clock: Clock,
): Follower<ConnectWanted> {
  return followStreams({
    keyOf,
    withdraw: ({ name }) => sink.remove(name),
    open({ name, address, service, env, dial, origin }, originNow) {
      if (address === undefined) {
        sink.reportIssuer(name, origin, "there is no ConsulResolver of that name, or it cannot be used");
        return [];
      }
      const troubled = troublesOfParts<string>((trouble) => sink.reportIssuer(name, originNow(), trouble));
      let material: CredentialMaterial = {};
      const stream = (path: string, read: (answer: Answer, place: string) => CredentialMaterial) =>
        new PersistentStream({
          clock,
          explain: consulTrouble,
          onTrouble: (trouble) => troubled(path, trouble),
          open: followQuery({
            address,
            env,
            dial,
            clock,
            path,
            query: {},
            take(answer, place) {
              material = { ...material, ...read(answer, place) };
              // Together, whichever has changed: a leaf is judged by the roots that go with it.
              if (material.certificateChain !== undefined && material.trustAnchors !== undefined)
                sink.offer(name, material, originNow());
              return null;
            },
          }),
        });
      return [
        stream("/v1/agent/connect/ca/roots", rootsOf),
        stream(`/v1/agent/connect/ca/leaf/${encodeURIComponent(service)}`, leafOf),
      ];
    },
  });
}

/** A resolver that now leads elsewhere is another issuer. */
function keyOf({ name, address }: ConnectWanted): string {
  return `${name} ${address}`;
}

/** All roots that Consul still has, not the active one alone: peers go on with leaves of the one before for a while. */
export function rootsOf({ body }: Pick<Answer, "body">, place: string): CredentialMaterial {
  const roots = (body as { Roots?: unknown } | null)?.Roots;
  const pems = Array.isArray(roots) ? roots.map((root: { RootCert?: unknown } | null) => root?.RootCert) : [];
  if (pems.length === 0 || !pems.every((pem) => typeof pem === "string"))
    throw new AgentTrouble(`${place} answers with what is no list of Connect's roots`);
  return { trustAnchors: pems.map((pem) => `${pem.trim()}\n`).join("") };
}

export function leafOf({ body }: Pick<Answer, "body">, place: string): CredentialMaterial {
  const { CertPEM: certificateChain, PrivateKeyPEM: privateKey } = (body ?? {}) as Readonly<
    Record<string, unknown>
  >;
  if (typeof certificateChain !== "string" || typeof privateKey !== "string")
    throw new AgentTrouble(`${place} answers with what is no leaf certificate of Connect`);
  return { certificateChain, privateKey };
}
