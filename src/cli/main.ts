import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { DEFAULT_LIMITS } from "../engines/node/limits.ts";
import { check } from "./check.ts";
import { demo } from "./demo/demo.ts";
import { run } from "./run.ts";

/** Runs the command that `argv` (without node and script) names; sets the exit code: 0, 1 on errors found, 2 on misuse. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

function createProgram(): Command {
  const program = new Command("credence")
    .description(
      "An edge gateway that presents the right credentials: Ambassador 1.14 resources, mutual TLS upstream, fail closed.",
    )
    .version(version(), "-V, --version")
    .showHelpAfterError("(add --help for what there is)")
    .showSuggestionAfterError(true)
    .exitOverride()
    .addHelpText(
      "after",
      "\nExamples:\n  credence demo                      see a mutual-TLS request, made on the spot\n  credence check ./gateway           what is wrong with these files, and how to mend it\n  credence run ./gateway             serve them\n",
    );

  program
    .command("run")
    .description("serve the resources in files or folders of YAML, and follow their changes")
    .argument("<path...>", "files or folders; folders are read recursively")
    .option("--address <ip>", "address to listen on", "127.0.0.1")
    .addOption(
      new Option(
        "--http-port <port>",
        "port of the http listener, 0: a free one (default: Module's service_port, else 8080)",
      ).argParser(port),
    )
    .addOption(
      new Option(
        "--https-port <port>",
        "port of the https listener, 0: a free one (default: Module's service_port, else 8443)",
      ).argParser(port),
    )
    .option("--admin-address <ip>", "address of health, metrics and diagnostics", "127.0.0.1")
    .addOption(new Option("--admin-port <port>", "their port, 0: a free one").argParser(port).default(8877))
    .option(
      "--ready-file <file>",
      "written once the first revision serves: JSON with pid, revision and addresses",
    )
    .addOption(
      new Option("--drain-seconds <n>", "how long a shutdown waits for requests in flight")
        .argParser(count)
        .default(30),
    )
    .option("--require-upstream-verification", "an upstream that cannot be verified fails closed", false)
    .option("--allow-partial", "be ready although some documents could not be read at the start", false)
    .option("--allow-unenforced", "serve routes whose access control cannot be enforced", false)
    .addOption(
      new Option("--ambassador-id <id>", "which resources are meant for this gateway")
        .env("AMBASSADOR_ID")
        .default("default"),
    )
    .option("--no-access-log", "do not write a line for each request to standard output")
    .addOption(
      new Option("--log-level <level>", "least severe level to log")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "auto is pretty on a terminal")
        .choices(["auto", "json", "pretty"])
        .default("auto"),
    )
    .addOption(limit("--max-connections <n>", "client connections at once", DEFAULT_LIMITS.maxConnections))
    .addOption(
      limit(
        "--max-requests <n>",
        "requests in flight at once; more get 503",
        DEFAULT_LIMITS.maxRequestsInFlight,
      ),
    )
    .addOption(
      limit(
        "--max-upstream-connections <n>",
        "connections to one cluster at once; more get 503",
        DEFAULT_LIMITS.maxUpstreamConnections,
      ),
    )
    .addOption(
      limit("--max-head-kib <n>", "size of a request or response head", DEFAULT_LIMITS.maxHeadBytes / 1024),
    )
    .addOption(limit("--max-headers <n>", "field lines in a head", DEFAULT_LIMITS.maxHeaders))
    .addOption(
      limit("--head-timeout <seconds>", "for a request head to arrive", DEFAULT_LIMITS.headTimeoutMs / 1000),
    )
    .addOption(
      limit("--body-timeout <seconds>", "between two pieces of a body", DEFAULT_LIMITS.bodyTimeoutMs / 1000),
    )
    .addOption(
      limit("--idle-timeout <seconds>", "for an idle client connection", DEFAULT_LIMITS.idleTimeoutMs / 1000),
    )
    .addHelpText(
      "after",
      "\nSignals: SIGHUP reloads; SIGTERM and SIGINT drain and exit 0; a second one exits at once.\n",
    )
    .action(run);

  program
    .command("check")
    .description(
      "say what is wrong with files or folders of YAML, where, and how to mend it; opens no socket",
    )
    .argument("<path...>", "files or folders; folders are read recursively")
    .addOption(new Option("--format <format>", "how to print it").choices(["text", "json"]).default("text"))
    .option("--require-upstream-verification", "an upstream that cannot be verified is an error", false)
    .option("--allow-unenforced", "serve routes whose access control cannot be enforced", false)
    .addOption(
      new Option("--ambassador-id <id>", "which resources are meant for this gateway")
        .env("AMBASSADOR_ID")
        .default("default"),
    )
    .addHelpText("after", "\nExit status: 0 nothing wrong (warnings may stand), 1 errors, 2 misuse.\n")
    .action(check);

  program
    .command("demo")
    .description(
      "a gateway, an upstream that insists on its certificate, and a request between them, made on the spot",
    )
    .option("--directory <dir>", "where the demo's keys and YAML go; git-ignored in this project", ".demo")
    .option("--once", "make the request, say how it went, and end", false)
    .action(demo);
  return program;
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function limit(flags: string, description: string, byDefault: number): Option {
  return new Option(flags, description).argParser(count).default(byDefault);
}

function port(text: string): number {
  const value = count(text);
  if (value > 65535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return value;
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
