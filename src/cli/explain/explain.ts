import { createDnsEndpoints } from "../../endpoints/dns.ts";
import { explainRequest } from "../../engines/node/explain.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { isIssued } from "../../resources/tls-identity.ts";
import { loadGateway, type ResourceFlags } from "../load.ts";
import { allExist } from "../paths.ts";
import { endWithReader, inColour, printJson, printText } from "../standard-output.ts";
import { askQuestion } from "./question.ts";
import { reportOn } from "./report.ts";
import { explainText } from "./text.ts";

export interface ExplainFlags extends ResourceFlags {
  readonly format: "text" | "json";
  readonly header: readonly string[];
  readonly fromCert?: string;
  readonly fromAddress: string;
}

/** What `run` would do with one request, by the code that would do it. */
export async function explain(
  method: string,
  url: string,
  paths: readonly string[],
  flags: ExplainFlags,
): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const gateway = await loadGateway(paths, flags);
  const question = askQuestion(method, url, flags, gateway.compilation.model.listeners);
  if ("problem" in question) {
    console.error(`credence: ${question.problem}`);
    process.exitCode = question.misuse ? 2 : 1;
    return;
  }
  if (!gateway.complete)
    console.error(
      "credence: some documents could not be read, so this may not be all; `credence check` shows which",
    );
  const logger = createLogger("silent");
  const answer = explainRequest(gateway.compilation.model, question, {
    credentials: gateway.store,
    assumed: isIssued,
    endpoints: createDnsEndpoints({ clock: systemClock, logger }),
    clock: systemClock,
    logger,
  });
  const report = reportOn(url, question, answer, gateway);
  if (flags.format === "json") printJson(report);
  else printText(`${explainText(report, Date.now(), inColour())}\n`);
  const { kind } = report.verdict;
  process.exitCode = kind === "refuse" || kind === "handshake-refused" ? 1 : 0;
}
