import { type Command, InvalidArgumentError, Option } from "commander";
import { isIP } from "node:net";
import { duration, positiveNumber } from "./flag-values.ts";

/** Flags of `--engine envoy`. */
export interface EnvoyFlags {
  readonly envoy?: string;
  readonly envoyConcurrency?: number;
  readonly envoyDns: readonly string[];
  /** Milliseconds. */
  readonly envoyPatience?: number;
}

/** The flags of an Envoy of `run`'s own. */
export function addEnvoyFlags(command: Command): void {
  for (const option of [
    new Option("--envoy <file>", "the Envoy to run (default: $CREDENCE_ENVOY, PATH, that of envoy:install)"),
    new Option("--envoy-concurrency <n>", "worker threads (default: one for each processor)").argParser(
      positiveNumber,
    ),
    dnsOption("--envoy-dns <address:port>", "name server that is asked; may be given several times"),
    new Option(
      "--envoy-patience <time>",
      "an Envoy that does not answer for so long is killed and started again (default: 30s; 0s: never)",
    ).argParser(duration),
  ])
    command.addOption(option.helpGroup("With --engine envoy:"));
}

/** Whether one was given: with another engine they would do nothing. */
export function hasEnvoyFlags({ envoy, envoyConcurrency, envoyDns, envoyPatience }: EnvoyFlags): boolean {
  return [envoy, envoyConcurrency, envoyPatience].some((flag) => flag !== undefined) || envoyDns.length > 0;
}

/** Name servers, each by address and port. */
export function dnsOption(flag: string, description: string): Option {
  return new Option(flag, description)
    .argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), resolver(text)])
    .default([], "the system's");
}

function resolver(text: string): string {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = found?.[1] ?? found?.[2] ?? "";
  if (isIP(address) === 0 || Number(found?.[3]) > 65_535)
    throw new InvalidArgumentError("It must be ADDRESS:PORT, e.g. 127.0.0.1:53.");
  return text;
}
