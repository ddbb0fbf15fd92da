import type { ServerResponse } from "node:http";
import { answerJson, type Question, startFakeAgent } from "../../support/fake-agent.ts";
import type { Offer } from "./sources.ts";

export interface ConsulAgent {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  say(offer: Offer): void;
  /** Whatever is asked has its connection cut, until it comes back. */
  leave(): void;
  comeBack(): void;
  /** So many since it left. */
  readonly refused: number;
  close(): Promise<void>;
}

/**
 * The two blocking queries of Consul's agent that Connect is made of, for certificates that the real one would not issue
 * at this pace. What the real one answers is in test/behaviour.
 */
export async function startConsulAgent(service: string): Promise<ConsulAgent> {
  let held: { readonly offer: Offer; readonly index: number } | null = null;
  const waiting = new Set<() => void>();
  const open = new Set<ServerResponse>();
  let refused: number | null = null;
  const answer = (question: Question, response: ServerResponse): void => {
    if (refused !== null) {
      refused++;
      response.destroy();
      return;
    }
    const known = Number(question.query.get("index") ?? 0);
    if (held === null || held.index <= known) {
      const again = (): void => answer(question, response);
      waiting.add(again);
      open.add(response);
      response.on("close", () => {
        waiting.delete(again);
        open.delete(response);
      });
      return;
    }
    const { identity, anchors } = held.offer;
    const bodies: Readonly<Record<string, unknown>> = {
      "/v1/agent/connect/ca/roots": { Roots: anchors.map((pem) => ({ RootCert: pem })) },
      [`/v1/agent/connect/ca/leaf/${service}`]: {
        CertPEM: identity.certificate,
        PrivateKeyPEM: identity.privateKey,
      },
    };
    const body = bodies[question.path];
    if (body === undefined) response.statusCode = 404;
    answerJson(response, body ?? null, held.index);
  };
  const { address, close, questions } = await startFakeAgent(answer);
  return {
    address,
    close,
    leave() {
      refused = 0;
      for (const response of open) response.destroy();
    },
    comeBack() {
      refused = null;
    },
    get refused() {
      return refused ?? 0;
    },
    say(offer) {
      // There is no end to them, and the memory of this process is looked at.
      questions.length = 0;
      held = { offer, index: (held?.index ?? 0) + 1 };
      const asked = [...waiting];
      waiting.clear();
      for (const again of asked) again();
    },
  };
}
