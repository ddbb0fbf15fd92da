import { type Command, Option } from "commander";
import { ENGINE_NAMES } from "../model/capabilities.ts";
import { expiryWarnings } from "./flag-values.ts";

export const PATHS = "files or folders of YAML; folders are read recursively";
/** Of what reads them once. */
export const READ_PATHS = "files or folders of YAML, or - for standard input; folders are read recursively";

/** What decides how resources are read and compiled: the same for all who do. */
export function addResourceFlags(command: Command): Command {
  return command
    .addOption(
      ofEnvironment(
        "AMBASSADOR_ID",
        new Option("--ambassador-id <id>", "which resources are meant for this gateway").default("default"),
      ),
    )
    .addOption(
      ofEnvironment(
        "AMBASSADOR_ISTIO_SECRET_DIR",
        new Option(
          "--istio-certs <dir>",
          "folder of Istio's agent (cert-chain.pem, key.pem, root-cert.pem): the Secret istio-certs",
        ),
      ),
    )
    .addOption(expiryWarningsOption())
    .option("--require-upstream-verification", "an upstream that cannot be verified fails closed")
    .option("--allow-unenforced", "serve routes whose access control cannot be enforced");
}

/** When the end of a certificate is said. */
function expiryWarningsOption(): Option {
  return new Option(
    "--expiry-warnings <times>",
    "before a certificate ends it is said: for information, as a warning, as an error",
  )
    .argParser(expiryWarnings)
    .default(expiryWarnings("30d,7d,1d"), "30d,7d,1d");
}

/** Which data plane: what it cannot do is a finding. */
export function engineOption(): Option {
  return new Option("--engine <engine>", "node: in this process; envoy: Envoy, over xDS")
    .choices(ENGINE_NAMES)
    .default("node");
}

/** Text for people, or JSON in a stable shape. */
export function formatOption(): Option {
  return new Option("--format <format>", "for people or for machines")
    .choices(["text", "json"])
    .default("text");
}

/** How much is logged, and how, by the verbs that go on running. */
export function addLogFlags(command: Command): Command {
  return command
    .addOption(
      new Option("--log-level <level>", "least severe level that is logged, on standard error")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "auto: pretty on a terminal, else json")
        .choices(["auto", "json", "pretty"])
        .default("auto"),
    );
}

/** A variable without a value is one that is not set, as for 1.14: manifests have them. */
function ofEnvironment(variable: string, option: Option): Option {
  if (process.env[variable] === "") delete process.env[variable];
  return option.env(variable);
}
