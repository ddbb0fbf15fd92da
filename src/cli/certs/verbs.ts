import type { Command } from "commander";
import { addResourceFlags, engineOption, formatOption, PATHS } from "../resource-flags.ts";
import type { CertsFlags } from "./list.ts";

/** `credence certs …`: what is there, what changes, what is needed to begin, and which root may go. */
export function addCertificateVerbs(program: Command): void {
  const certs = program
    .command("certs")
    .description("what certificates there are, who uses them, when they end; and a PKI to develop with");
  addList(certs);
  addWatch(certs);
}

function addList(certs: Command): void {
  const command = certs
    .command("list")
    .description("list every certificate and CA, who uses it, and when it ends: soonest first")
    .argument("<path...>", PATHS)
    .addOption(engineOption())
    .addOption(formatOption());
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
Secrets, the files that a TLSContext names, and what is named and not there. What an issuer delivers (\`identity\`) is asked
for by \`certs watch\` and \`run\`, not here.

Examples:
  credence certs list ./gateway
  credence certs list ./gateway --format json | jq '.entries[].certificates[] | select(.expiresInDays < 30)'

Exit status: 0 all is usable and in its dates, 1 something is expired or unusable, 2 misuse.`,
    )
    .action(async (paths: string[], flags: CertsFlags) =>
      (await import("./list.ts")).listCertificates(paths, flags),
    );
}

function addWatch(certs: Command): void {
  const command = certs
    .command("watch")
    .description(
      "list them, follow files and issuers as `run` would, and say what changes: old and new serials, dates",
    )
    .argument("<path...>", PATHS)
    .addOption(engineOption())
    .addOption(formatOption());
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
A terminal is drawn anew with each change; anything else gets a line a change, with --format json one of JSON.

Examples:
  credence certs watch ./gateway
  credence certs watch ./gateway --format json | jq 'select(.event == "rotated")'

Exit status: 0 ended by SIGINT or SIGTERM, 2 misuse.`,
    )
    .action(async (paths: string[], flags: CertsFlags) =>
      (await import("./watch.ts")).watchCertificates(paths, flags),
    );
}
