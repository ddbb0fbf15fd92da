import { certificates } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import type { EngineAdapter } from "./case.ts";

/** Runs a case through the embedded engine. */
export const nodeAdapter: EngineAdapter = {
  name: "node",
  async run(testCase, peers) {
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
      const received = await exchangeBytes(secure ? gateway.httpsPort : gateway.httpPort, testCase.request, {
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
      const [newest] = (await gateway.diag()).failures;
      return { answers: parseAnswers(received), failure: newest?.reason };
    } finally {
      await gateway.stop();
    }
  },
};
