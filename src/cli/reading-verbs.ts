import { type Command, Option } from "commander";
import type { CheckFlags } from "./check.ts";
import type { DumpFlags } from "./dump.ts";
import type { ExplainFlags } from "./explain/explain.ts";
import type { MigrateFlags } from "./migrate.ts";
import { addResourceFlags, engineOption, formatOption, READ_PATHS } from "./resource-flags.ts";

/** The verbs that read resources, say something about them, and open no socket. */
export function addReadingVerbs(program: Command): void {
  addCheck(program);
  addExplain(program);
  addMigrate(program);
  addDump(program);
}

function addCheck(program: Command): void {
  const command = program
    .command("check")
    .description(
      "say what is wrong with files or folders of YAML, where, and how to mend it; opens no socket",
    )
    .argument("<path...>", READ_PATHS)
    .addOption(engineOption())
    .addOption(formatOption())
    .option("--strict", "exit 1 on warnings too")
    .option(
      "--fleet <file>",
      "rules of a fleet: they, and the resources as each group's Envoys would have them",
    );
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
Certificates and keys, in Secrets and in the files that a TLSContext names, are checked as \`run\` would.

Examples:
  credence check ./gateway
  credence check ./gateway --strict
  credence check ./gateway --format json | jq .summary
  credence check ./gateway --fleet fleet.yaml
  kubectl kustomize ./overlay | credence check -

Exit status: 0 no errors (warnings may stand, unless --strict), 1 errors, 2 misuse.`,
    )
    .action(async (paths: string[], flags: CheckFlags) => (await import("./check.ts")).check(paths, flags));
}

function addExplain(program: Command): void {
  const command = program
    .command("explain")
    .description("say which listener, host, route and cluster would take a request, and why; sends nothing")
    .argument("<method>", "of the request, e.g. GET")
    .argument("<url>", "of the request, e.g. https://quote.example/backend/?x=1")
    .argument("<path...>", READ_PATHS)
    .addOption(
      new Option("-H, --header <line>", "a header of the request, 'Name: value'; may be given several times")
        .argParser((line: string, before: readonly string[] | undefined) => [...(before ?? []), line])
        .default([], "none"),
    )
    .option("--from-cert <file>", "PEM: the certificate that the client shows, and its chain")
    .option("--from-address <ip>", "the client's address", "127.0.0.1")
    .addOption(engineOption())
    .addOption(formatOption());
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
The request is matched by the code that serves: what is said here is what \`run\` would do. Host is the URL's unless -H
says otherwise; the server name of a handshake is always the URL's.

Examples:
  credence explain GET http://localhost:8080/backend/ ./gateway
  credence explain POST https://api.example/v2/orders -H 'x-canary: always' ./gateway
  credence explain GET https://api.example/ --from-cert client.pem ./gateway --format json

Exit status: 0 an upstream or a redirect would answer, 1 the gateway would refuse, 2 misuse.`,
    )
    .action(async (method: string, url: string, paths: string[], flags: ExplainFlags) =>
      (await import("./explain/explain.ts")).explain(method, url, paths, flags),
    );
}

function addMigrate(program: Command): void {
  const command = program
    .command("migrate")
    .description("say where Ambassador 1.14 was unsafe with these resources, and what changes with Credence")
    .argument("<path...>", READ_PATHS)
    .addOption(formatOption());
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
Each finding has a place, what 1.14 did, what Credence does, and the smallest edit that keeps or improves it. An error is
traffic that stops until the edit is made, a warning changes or stays unsafe, the rest is safer as it is.

Examples:
  credence migrate ./gateway
  credence migrate ./gateway --format json | jq '.findings[] | select(.severity == "error")'

Exit status: 0 no errors, 1 errors, 2 misuse.`,
    )
    .action(async (paths: string[], flags: MigrateFlags) =>
      (await import("./migrate.ts")).migrate(paths, flags),
    );
}

function addDump(program: Command): void {
  const command = program
    .command("dump")
    .description("print the compiled model, or what Envoy gets of it, as JSON: sorted, and without secrets")
    .argument("<path...>", READ_PATHS)
    .addOption(engineOption())
    .option("--validate", "with --engine envoy: have Envoy check it instead of printing it")
    .option(
      "--envoy <file>",
      "the Envoy that checks (default: $CREDENCE_ENVOY, PATH, that of envoy:install)",
    );
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
The same resources give the same bytes, in whatever order and files they stand. \`hash\` is the revision's. With
--engine envoy: the xDS resources by type and name, and of secrets the fingerprints.

Examples:
  credence dump ./gateway | jq '.model.routes[].name'
  diff <(credence dump ./before) <(credence dump ./after)
  credence dump --engine envoy --validate ./gateway

Exit status: 0 no errors, 1 errors (the model is printed all the same) or refused by Envoy, 2 misuse.`,
    )
    .action(async (paths: string[], flags: DumpFlags) => (await import("./dump.ts")).dump(paths, flags));
}
