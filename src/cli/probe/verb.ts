import { type Command, InvalidArgumentError, Option } from "commander";
import { positiveNumber } from "../numbers.ts";
import { addResourceFlags, engineOption, formatOption, PATHS } from "../resource-flags.ts";
import type { ProbeFlags } from "./probe.ts";

export function addProbe(program: Command): void {
  const command = program
    .command("probe")
    .description("make a handshake as the gateway would, explain it step by step, and say what to change")
    .argument("<target>", "mapping/NAME[.NS], tlscontext/NAME[.NS], tcpmapping/…, authservice/…")
    .argument("<path...>", PATHS)
    .addOption(engineOption())
    .addOption(formatOption())
    .addOption(
      new Option(
        "--timeout <ms>",
        "for TCP and TLS together (default: the service's connect timeout)",
      ).argParser(positiveNumber),
    )
    .addOption(
      new Option("--wait <ms>", "for how long a peer may refuse our certificate after a TLS 1.3 handshake")
        .argParser(positiveNumber)
        .default(1000),
    )
    .addOption(
      new Option(
        "--request <request>",
        "'METHOD /path': sent at the end to a peer that was found good",
      ).argParser(request),
    );
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
Nothing but handshakes is sent, unless --request says so, and that only to a peer whose certificate was found good.

Examples:
  credence probe mapping/quote ./gateway
  credence probe tlscontext/upstream.prod ./gateway --format json | jq .peers[].verdict

Exit status: 0 all is good, 1 a handshake or a check fails, 2 misuse.`,
    )
    .action(async (target: string, paths: string[], flags: ProbeFlags) =>
      (await import("./probe.ts")).probe(target, paths, flags),
    );
}

function request(text: string): string {
  if (!/^[A-Z]+ \/[\x21-\x7e]*$/.test(text)) throw new InvalidArgumentError("It must be 'METHOD /path'.");
  return text;
}
