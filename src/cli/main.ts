import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { addCertificateVerbs } from "./certs/verbs.ts";
import type { DemoFlags } from "./demo/demo.ts";
import { addFleetVerbs } from "./fleet-verbs.ts";
import { addLimitFlags } from "./limit-flags.ts";
import { ipAddress, port, wholeNumber } from "./flag-values.ts";
import { addReadingVerbs } from "./reading-verbs.ts";
import { addEnvoyFlags } from "./envoy-flags.ts";
import { addProbe } from "./probe/verb.ts";
import { addLogFlags, addResourceFlags, engineOption, PATHS } from "./resource-flags.ts";
import type { RunFlags } from "./run.ts";
import { endWithReader } from "./standard-output.ts";

/*
 * Verbs are loaded when they are run: what one needs (a certificate authority, an engine) is not waited for by the others.
 */

/** Runs the command that `argv` (without node and script) names; sets the exit code: 0, 1 on errors found, 2 on misuse, 70 on a fault of ours. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync(asked(program, argv), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) process.exit(reported(error));
    // Commander has said what is wrong.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

/** `help a b` is `a b --help`. Of what names no verb only that is asked, so that it is said to be none. */
function asked(program: Command, argv: readonly string[]): string[] {
  const isHelp = argv[0] === "help";
  const verbs: string[] = [];
  let command = program;
  for (const word of isHelp ? argv.slice(1) : argv) {
    if (word.startsWith("-") || word === "help" || command.commands.length === 0) break;
    verbs.push(word);
    const found = command.commands.find((each) => each.name() === word);
    if (found === undefined) return verbs;
    command = found;
  }
  return isHelp ? [...verbs, "--help"] : [...argv];
}

/** The exit status. What the system refuses (a full disk, no rights) is the machine's; the rest is ours. */
function reported(error: unknown): number {
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  if (syscall !== undefined) {
    console.error(`credence: ${path === undefined ? message : `${path}: ${code}`}`);
    return 1;
  }
  console.error("credence: a fault of Credence's own:", error);
  return 70;
}

function createProgram(): Command {
  const program = new Command("credence")
    .description(
      "An edge gateway that presents the right credentials: Ambassador 1.14 resources, mutual TLS upstream, fail closed.",
    )
    .version(version(), "-V, --version")
    .showHelpAfterError("(add --help for what there is)")
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => {
        endWithReader();
        process.stdout.write(text);
      },
    })
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  credence demo               see a mutual-TLS request, with everything made on the spot
  credence check ./gateway    what is wrong with these files, and how to mend it
  credence migrate ./gateway  what changes for resources that ran on 1.14
  credence run ./gateway      serve them, and follow their changes
  credence explain GET https://api.example/ ./gateway    what would take this request, and why
  credence probe mapping/backend ./gateway    how the handshake with its service goes, and what to change

\`credence help <command>\` tells all of a command's flags.`,
    );
  addRun(program);
  addReadingVerbs(program);
  addProbe(program);
  addCertificateVerbs(program);
  addFleetVerbs(program);
  addDemo(program);
  return program;
}

function addRun(program: Command): void {
  const command = program
    .command("run")
    .description("serve the resources in files or folders of YAML, and follow their changes")
    .argument("<path...>", PATHS)
    .addOption(engineOption())
    .optionsGroup("Listeners:")
    .option("--address <ip>", "address to listen on", ipAddress, "127.0.0.1")
    .addOption(
      new Option(
        "--http-port <port>",
        "of the http listener, 0: a free one (default: Module's service_port, else 8080)",
      ).argParser(port),
    )
    .addOption(
      new Option(
        "--https-port <port>",
        "of the https listener, 0: a free one (default: Module's service_port, else 8443)",
      ).argParser(port),
    )
    .option("--admin-address <ip>", "address of health, metrics and diagnostics", ipAddress, "127.0.0.1")
    .addOption(new Option("--admin-port <port>", "of the same, 0: a free one").argParser(port).default(8877))
    .optionsGroup("What is served:");
  addResourceFlags(command)
    .option("--allow-partial", "be ready although some documents could not be read at the start")
    .optionsGroup("Process:")
    .option(
      "--ready-file <file>",
      "written once the first revision serves: pid, revision, addresses; JSON; an old one is removed",
    )
    .addOption(
      new Option(
        "--drain-seconds <n>",
        "how long a shutdown waits for what is in flight, and connections live that may not go on",
      )
        .argParser(wholeNumber)
        .default(30),
    )
    .option("--no-access-log", "no line of JSON for each request on standard output");
  addLogFlags(command);
  addLimitFlags(command);
  addEnvoyFlags(command);
  command
    .addHelpText(
      "after",
      `
Signals:
  SIGHUP                reads everything again
  SIGTERM, SIGINT       stops accepting, ends what is in flight, exits 0; a second one exits at once (143, 130)

Examples:
  credence run ./gateway
  credence run mappings.yaml secrets/ --address 0.0.0.0 --http-port 80 --https-port 443
  credence run --engine envoy ./gateway
  credence run ./gateway --http-port 0 --ready-file ready.json --require-upstream-verification

Exit status: 0 ended by a signal, 1 could not start, 2 misuse, 70 a fault of Credence.`,
    )
    .action(async (paths: string[], flags: RunFlags) => (await import("./run.ts")).run(paths, flags));
}

function addDemo(program: Command): void {
  program
    .command("demo")
    .description("start a gateway and an upstream that insists on its certificate, and make a request")
    .option("--directory <dir>", "where the demo's keys and YAML go; removed at the end", ".demo")
    .option("--once", "make the request, say how it went, and end")
    .addHelpText(
      "after",
      `
Ports 8080, 8444 and 8877 are used where they are free, others where they are not. Ctrl-C ends all of it.

Exit status: 0 the upstream saw the gateway's certificate, 1 it did not, 2 misuse.`,
    )
    .action(async (flags: DemoFlags) => (await import("./demo/demo.ts")).demo(flags));
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
