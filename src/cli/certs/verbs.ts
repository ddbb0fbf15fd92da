import { type Command, InvalidArgumentError, Option } from "commander";
import { duration, positiveNumber } from "../flag-values.ts";
import { addResourceFlags, engineOption, formatOption, PATHS, READ_PATHS } from "../resource-flags.ts";
import type { DevFlags } from "./dev.ts";
import type { CertsFlags, ListFlags } from "./list.ts";
import type { RotateCheckFlags } from "./rotate-check.ts";

/** `credence certs …`: what is there, what changes, what is needed to begin, and which root may go. */
export function addCertificateVerbs(program: Command): void {
  const certs = program
    .command("certs")
    .description("what certificates there are, who uses them, when they end; and a PKI to develop with");
  addList(certs);
  addWatch(certs);
  addRotateCheck(certs);
  addDev(certs);
}

function addList(certs: Command): void {
  const command = certs
    .command("list")
    .description("list every certificate and CA, who uses it, and when it ends: soonest first")
    .argument("<path...>", READ_PATHS)
    .option(
      "--admin <url>",
      "of a gateway that runs with these resources: generations and certificates as it has them in use",
    )
    .addOption(engineOption())
    .addOption(formatOption());
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
Secrets, the files that a TLSContext names, and what is named and not there. What an issuer delivers (\`identity\`) is asked
for by \`certs watch\` and \`run\`, not here: with --admin it is told as the gateway has it.

Examples:
  credence certs list ./gateway
  credence certs list ./gateway --admin http://127.0.0.1:8877
  credence certs list ./gateway --format json | jq '.entries[].certificates[] | select(.expiresInDays < 30)'

Exit status: 0 all is usable and in its dates, 1 something is expired or unusable, a document cannot be read or the gateway cannot be asked, 2 misuse.`,
    )
    .action(async (paths: string[], flags: ListFlags) =>
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

function addRotateCheck(certs: Command): void {
  certs
    .command("rotate-check")
    .description(
      "ask a running gateway which peers still chain to an old CA, and whether that may be dropped",
    )
    .requiredOption("--admin <url>", "of the gateway's admin port, e.g. http://127.0.0.1:8877")
    .addOption(
      new Option("--quiet-for <time>", "how long nothing must have chained to it, e.g. 30m, 24h, 7d")
        .argParser(duration)
        .default(86_400_000, "24h"),
    )
    .option("--bundle <name>", "only this one, e.g. secret/default/upstream-ca (default: all in use)")
    .option(
      "--root <which>",
      "only this CA: its subject, or the beginning of its SHA-256 (default: all with a newer one beside them)",
    )
    .option("--allow-unseen", "clusters and listeners that had no handshake yet do not stand in the way")
    .addOption(formatOption())
    .addHelpText(
      "after",
      `
A CA is safe to drop when no handshake has chained to it for that long, another CA was in the bundle all the while, and
every peer that once chained to it has been seen since with another. A gateway knows what it has seen since its start.
Envoy does not tell which CA vouched for a peer: then the answer is "not known", and the status 1.

Examples:
  credence certs rotate-check --admin http://127.0.0.1:8877
  credence certs rotate-check --admin http://127.0.0.1:8877 --root 'CN=Old Root' --quiet-for 2h

Exit status: 0 safe, or there is nothing to drop; 1 not yet, not known, or the gateway cannot be asked; 2 misuse.`,
    )
    .action(async (flags: RotateCheckFlags) => (await import("./rotate-check.ts")).checkRotation(flags));
}

function addDev(certs: Command): void {
  certs
    .command("dev")
    .description(
      "make a PKI to develop with: root, intermediate, server and client; and print the YAML that uses it",
    )
    .argument("<dir>", "where the files go; made if it is not there")
    .addOption(
      new Option("--dns <name>", "of the server's certificate; may be given several times")
        .argParser(
          several(
            /^(?:\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i,
            "It must be a DNS name.",
          ),
        )
        .default([], "localhost"),
    )
    .addOption(
      new Option(
        "--spiffe <id>",
        "a certificate for either side with this SPIFFE ID; may be given several times",
      )
        .argParser(
          several(
            /^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/,
            "It must be a SPIFFE ID with a path, e.g. spiffe://dev.example/ns/default/sa/gateway.",
          ),
        )
        .default([], "none"),
    )
    .addOption(
      new Option("--days <n>", "until server and client end; the CAs last ten years")
        .argParser(positiveNumber)
        .default(90),
    )
    .addOption(
      new Option("--key <kind>", "of server and client").choices(["ec", "rsa", "ed25519"]).default("ec"),
    )
    .option("--namespace <name>", "of the Secrets and TLSContexts", "default")
    .option("--force", "overwrite the files that are there")
    .addHelpText(
      "after",
      `
Files are readable by their owner alone (0600), and a .gitignore keeps all of them out of git. The keys of root and
intermediate are not kept: run it again, with --force, for another PKI. Envoy takes no key of kind ed25519.

  root.pem intermediate.pem                 the CAs
  server.pem client.pem, and -key.pem       chains with the intermediate, and their keys (PKCS#8)
  NAME.pem NAME-key.pem                     of each --spiffe, by its last part
  secrets.yaml                              all of them as Secrets, dev-server, dev-client, dev-NAME

Examples:
  credence certs dev pki --dns api.example --dns '*.api.example' > tls.yaml
  credence certs dev pki --spiffe spiffe://dev.example/ns/default/sa/gateway --days 1 --force

Exit status: 0 made, 1 not (a file is there already, or cannot be written), 2 misuse.`,
    )
    .action(async (directory: string, flags: DevFlags) =>
      (await import("./dev.ts")).makeDevelopmentPki(directory, flags),
    );
}

function several(shape: RegExp, what: string): (text: string, before: readonly string[]) => string[] {
  return (text, before) => {
    if (!shape.test(text) || text.length > 253) throw new InvalidArgumentError(what);
    return [...before, text];
  };
}
