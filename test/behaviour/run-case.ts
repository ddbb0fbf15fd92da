import { certificates } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers, type RawAnswer } from "../support/raw-client.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

export interface CaseOutcome {
  readonly answers: readonly RawAnswer[];
  /** Reason of the newest failure, for cases that expect one. */
  readonly failure: string | undefined;
  /** Where the answers are others than expected, what there is to know about it. */
  readonly circumstances: string;
}

/** Runs a case through the engine under test, as a client on a socket. */
export async function runCase(testCase: BehaviourCase, peers: CasePeers): Promise<CaseOutcome> {
  const gateway = await startGateway(
    { "case.yaml": await testCase.resources(peers) },
    { limits: { headTimeoutMs: 1000 } },
  );
  try {
    const { ca, stranger, client } = await certificates();
    const secure = testCase.via === "https";
    const identity =
      testCase.clientCertificate === "trusted"
        ? client
        : testCase.clientCertificate === "stranger"
          ? await stranger.issue({ commonName: "stranger", usage: "client" })
          : undefined;
    const port = secure ? gateway.httpsPort : gateway.httpPort;
    const ends: string[] = [];
    const received = await exchangeBytes(port, testCase.request, {
      onFinished: (why) => ends.push(why),
      ...(testCase.expect.statuses.length === 0 ? { silentMs: 3000 } : {}),
      // After an answer of its own Envoy closes a second later, lest a reset overtakes the answer.
      ...(engineUnderTest() === "envoy" ? { isEnough: (bytes) => hasAll(bytes, testCase) } : {}),
      ...(secure
        ? {
            tls: {
              ca: ca.certificate,
              ...(testCase.serverName === undefined ? {} : { servername: testCase.serverName }),
              ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey }),
            },
          }
        : {}),
    });
    // Elsewhere it does not matter, and is not waited for.
    const failure = testCase.expect.failure === undefined ? undefined : (await gateway.failure())?.reason;
    const answers = parseAnswers(received);
    const isExpected = String(answers.map(({ status }) => status)) === String(testCase.expect.statuses);
    const circumstances = isExpected ? "" : `port ${port}, ended by ${ends[0]}, ${await findings(gateway)}`;
    return { answers, failure, circumstances };
  } finally {
    await gateway.stop();
  }
}

async function findings(gateway: RunningGateway): Promise<string> {
  const { diagnostics, failures } = await gateway.diag();
  return JSON.stringify({ diagnostics, failures });
}

function hasAll(received: string, { expect, request }: BehaviourCase): boolean {
  const answers = parseAnswers(received);
  const last = answers.at(-1);
  if (last === undefined || answers.length < expect.statuses.length) return false;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(last.head)?.[1] ?? 0);
  return last.body.length >= length || String(request).startsWith("HEAD");
}
