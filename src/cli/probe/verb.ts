import { isIP } from "node:net";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Endpoint } from "../../endpoints/endpoint.ts";
import { positiveNumber } from "../flag-values.ts";
import { addResourceFlags, engineOption, formatOption, READ_PATHS } from "../resource-flags.ts";
import type { ProbeFlags } from "./probe.ts";

/** The verb that makes the handshake of a Mapping, or of a client. */
export function addProbe(program: Command): void {
  const command = program
    .command("probe")
    .description("make a handshake as the gateway would, explain it step by step, and say what to change")
    .argument(
      "<target>",
      "mapping/NAME[.NS], tlscontext/NAME[.NS], tcpmapping/…, authservice/…, host/…, or a URL",
    )
    .argument("[path...]", `${READ_PATHS}; a URL needs none`)
    .addOption(engineOption())
    .addOption(formatOption())
    .option("--context <name>", "of a URL: the TLSContext that it is dialled with")
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
    )
    .option("--cert <file>", "PEM: the certificate to present, and its chain, instead of the resources'")
    .option("--key <file>", "PEM: its private key")
    .option("--ca <file>", "PEM: the CAs to trust, instead of the resources'")
    .option("--sni <name>", "the server name to send and to verify, instead of the resources'")
    .addOption(
      new Option(
        "--address <host:port>",
        "of a context that terminates TLS: where the gateway listens (default: the listener's own)",
      ).argParser(address),
    )
    .option("--offline", "of a context that terminates TLS: judge certificates, dial nobody");
  addResourceFlags(command)
    .addHelpText(
      "after",
      `
The handshake is made with what the resources say: server name, ALPN, versions, suites, groups, client certificate, CA and
rules. What the peer sends is shown and judged by the code that judges live peers; a refusal that may mean several things is
told apart by dialling again with wider offers. Nothing but handshakes is sent, unless --request says so, and that only to a
peer whose certificate was verified and found good.

A TLSContext (or Host) that terminates TLS is met from the outside, as one of its clients: --cert and --key are the
client's, and it is said whether the gateway would take them, and why not.

Examples:
  credence probe mapping/quote ./gateway
  credence probe tlscontext/upstream.prod ./gateway --format json | jq '.peers[].verdict'
  credence probe tlscontext/edge ./gateway --cert client.pem --key client.key --ca edge-ca.pem
  credence probe tlscontext/edge ./gateway --cert client.pem --offline
  credence probe https://quote.example:8443 --context upstream ./gateway
  credence probe https://gateway.example --cert client.pem --key client.key --ca edge-ca.pem

Exit status: 0 all is good, 1 a handshake or a check fails, 2 misuse.`,
    )
    .action(async (target: string, paths: string[], flags: ProbeFlags) =>
      (await import("./probe.ts")).probe(target, paths, flags),
    );
}

function request(text: string): { method: string; path: string } {
  const found = /^([A-Z]+) (\/[\x21-\x7e]*)$/.exec(text);
  if (found === null) throw new InvalidArgumentError("It must be 'METHOD /path'.");
  return { method: found[1] as string, path: found[2] as string };
}

function address(text: string): Endpoint {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3]);
  const isHost = isIP(host) !== 0 || host === "localhost";
  if (found === null || !isHost || port < 1 || port > 65535)
    throw new InvalidArgumentError("It must be an IP address and a port, e.g. 127.0.0.1:8443.");
  return { address: host === "localhost" ? "127.0.0.1" : host, port };
}
