import assert from "node:assert/strict";
import { randomUUID, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ExplainReport, reportOn } from "../../src/cli/explain/report.ts";
import { loadGateway } from "../../src/cli/load.ts";
import { createDnsEndpoints } from "../../src/endpoints/dns.ts";
import { type Answer, explainRequest, type Question } from "../../src/engines/node/explain.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { certificates } from "../support/certificates.ts";
import type { SeenRequest } from "../support/upstream.ts";
import type { BehaviourCase } from "./case.ts";
import { clientCases } from "./client-cases.ts";
import { hostCases } from "./host-cases.ts";
import { ingressCases } from "./ingress-cases.ts";
import { mappingCases } from "./mapping-cases.ts";
import { messageCases } from "./message-cases.ts";
import { routingCases } from "./routing-cases.ts";
import { upstreamTlsCases } from "./upstream-tls-cases.ts";

const PEERS = { cleartext: 9001, mtls: 9002, tls: 9003 };

const SUITES: Readonly<Record<string, readonly BehaviourCase[]>> = {
  routing: routingCases,
  Mappings: mappingCases,
  messages: messageCases,
  "TLS to upstreams": upstreamTlsCases,
  "TLS from clients": clientCases,
  Hosts: hostCases,
  Ingresses: ingressCases,
};

/** The answer to a case's request by the verb's own parts; the upstreams' ports are anybody's. */
async function explained(testCase: BehaviourCase): Promise<{ report: ExplainReport; answer: Answer } | null> {
  const sent = typeof testCase.request === "string" ? testCase.request : testCase.request.join("");
  const end = sent.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const folder = mkdtempSync(join(tmpdir(), "credence-explained-"));
  try {
    writeFileSync(join(folder, "case.yaml"), await testCase.resources(PEERS));
    const gateway = await loadGateway([folder], { ambassadorId: "default" });
    const { listeners } = gateway.compilation.model;
    const listener = listeners.find(({ name }) => name === (testCase.via ?? "http"));
    if (listener === undefined) return null;
    const { stranger, client } = await certificates();
    const shown =
      testCase.clientCertificate === undefined
        ? undefined
        : testCase.clientCertificate === "trusted"
          ? client
          : await stranger.issue({ commonName: "stranger", usage: "client" });
    const question: Question = {
      listener,
      serverName: testCase.serverName ?? null,
      head: sent.slice(0, end + 2),
      remoteAddress: "127.0.0.1",
      clientCertificates: shown === undefined ? [] : [new X509Certificate(shown.certificate)],
    };
    const logger = createLogger("silent");
    const answer = explainRequest(gateway.compilation.model, question, {
      credentials: gateway.store,
      endpoints: createDnsEndpoints({ clock: systemClock, logger }),
      clock: systemClock,
      logger,
    });
    return { report: reportOn("", question, answer, gateway), answer };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const [suite, cases] of Object.entries(SUITES)) {
  describe(`explain says what the engine does: ${suite}`, () => {
    for (const testCase of cases) {
      const { statuses, seen, failure } = testCase.expect;
      it(testCase.name, async () => {
        const found = await explained(testCase);
        if (found === null) return; // No head that is complete, or no listener to ask.
        const { report, answer } = found;
        const { verdict } = report;
        const [status] = statuses;
        if (status === undefined) {
          const isAssumed = answer.handshake?.served === true && answer.handshake.client.kind === "assumed";
          assert.ok(verdict.kind === "handshake-refused" || isAssumed, JSON.stringify(verdict));
        } else if (verdict.kind === "forward") {
          // What a body or an upstream does is not to be known beforehand.
          const isLater = failure?.startsWith("upstream_") === true || CHUNKED.test(String(testCase.request));
          assert.ok(status < 300 || isLater, `the engine answers ${status}`);
          if (seen != null && statuses.length === 1 && suite !== "messages") checkSeen(answer, report, seen);
        } else assert.equal(verdict.status, status, JSON.stringify(verdict));
      });
    }
  });
}

const CHUNKED = /transfer-encoding:\s*chunked/i;

/** What the upstream is to see of the head, and who comes. */
function checkSeen(answer: Answer, report: ExplainReport, check: (seen: SeenRequest) => void): void {
  const [first] = answer.destinations;
  if (first?.dispatch.kind !== "forward") return;
  const { head, question } = first.dispatch;
  const [startLine = "", ...lines] = (question === null ? head : question.allow([])).trimEnd().split("\r\n");
  const [method = "", path = ""] = startLine.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(":")).toLowerCase();
    const value = line.slice(line.indexOf(":") + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  // Another one for each request.
  if (headers["x-request-id"]?.startsWith("(") === true) headers["x-request-id"] = randomUUID();
  const tls = report.destinations[0]?.upstream?.tls ?? null;
  const clientSubject = tls?.presents?.subject ?? null;
  check({
    ...{ method, path, headers, clientSubject, secure: tls !== null },
    ...{ clientSerial: null, body: "", trailers: {} },
  });
}
