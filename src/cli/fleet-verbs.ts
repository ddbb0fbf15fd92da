import { type Command, Option } from "commander";
import type { BootstrapFlags } from "./envoy/bootstrap.ts";
import type { ControlPlaneFlags } from "./envoy/control-plane.ts";
import { dnsOption } from "./envoy-flags.ts";
import { hostPort, ipAddress, port, positiveNumber } from "./flag-values.ts";
import { addLogFlags, addResourceFlags, PATHS } from "./resource-flags.ts";

/** The verbs of a fleet: Envoys that others run. */
export function addFleetVerbs(program: Command): void {
  addControlPlane(program);
  addEnvoy(program);
}

function addControlPlane(program: Command): void {
  const command = program
    .command("control-plane")
    .description(
      "serve the resources to a fleet of Envoys over xDS with mutual TLS, and follow their changes",
    )
    .argument("<path...>", PATHS)
    .optionsGroup("xDS:")
    .requiredOption(
      "--xds-address <host:port>",
      "address to listen on for Envoys; port 0: a free one",
      hostPort,
    )
    .requiredOption("--xds-cert <file>", "PEM: the certificate that Envoys are shown, and its chain")
    .requiredOption("--xds-key <file>", "PEM: its key")
    .requiredOption("--xds-client-ca <file>", "PEM: who must have issued an Envoy's certificate")
    .option("--fleet <file>", "YAML: which identity may have which resources (default: all may have all)")
    .optionsGroup("Listeners of the Envoys:")
    .option("--address <ip>", "address that they listen on", ipAddress, "0.0.0.0")
    .addOption(
      new Option(
        "--http-port <port>",
        "of the http listener (default: Module's service_port, else 8080)",
      ).argParser(port),
    )
    .addOption(
      new Option(
        "--https-port <port>",
        "of the https listener (default: Module's service_port, else 8443)",
      ).argParser(port),
    )
    .option("--no-access-log", "no line of JSON for each request on their standard output")
    .optionsGroup("What is served:");
  addResourceFlags(command)
    .option(
      "--allow-partial",
      "publish although some documents cannot be read at the start (default: Envoys keep what they have until they can)",
    )
    .optionsGroup("Process:")
    .option("--admin-address <ip>", "address of health, metrics and diagnostics", ipAddress, "127.0.0.1")
    .addOption(new Option("--admin-port <port>", "of the same, 0: a free one").argParser(port).default(8877))
    .option("--ready-file <file>", "written once Envoys are let in: pid and addresses; JSON");
  addLogFlags(command)
    .addHelpText(
      "after",
      `
The three files are read again when they change. An Envoy is known by its certificate alone: by its SPIFFE ID or its DNS
names. The rules of --fleet say which group it belongs to; the first that matches counts, and whom none does is refused.

  groups:
    - name: edge
      match: { spiffe: "spiffe://example.org/edge/*" }
      namespaces: [edge]
    - name: inner
      match: { dns: ["*.inner.example.org"] }
      namespaces: [inner]            # or all: the Secrets of every namespace
      ambassador_id: inner           # and of those only what is meant for it
      files: [/etc/inner]            # certificate files and sockets of issuers that it may name
      consul_services: [inner-edge]  # what it may be to Consul
      resolve_names: true            # DNS is asked here, not by each Envoy (docs/engines.md)

A group's Envoys get resources of its namespaces, and what those may name: Secrets of other namespaces are not there for
it, nor is a file, socket or Consul service that is not listed. So is an AuthService or Module: one that is to hold for a
group stands in a namespace of it. \`credence check --fleet FILE PATH…\` says what each group gets.

Examples:
  credence control-plane ./gateway --xds-address 0.0.0.0:18000 --xds-cert tls.crt --xds-key tls.key --xds-client-ca ca.pem
  credence envoy bootstrap --help    how an Envoy is started for it

Exit status: 0 ended by a signal, 1 could not start, 2 misuse, 70 a fault of Credence.`,
    )
    .action(async (paths: string[], flags: ControlPlaneFlags) =>
      (await import("./envoy/control-plane.ts")).controlPlane(paths, flags),
    );
}

function addEnvoy(program: Command): void {
  const envoy = program.command("envoy").description("what an Envoy of a fleet needs");
  envoy
    .command("bootstrap")
    .description(
      "print the configuration that an Envoy of a fleet starts with; it names files of keys, and holds none",
    )
    .requiredOption("--xds-address <host:port>", "where the control plane is", hostPort)
    .requiredOption("--ca <file>", "PEM: who must have issued the control plane's certificate")
    .requiredOption("--cert <file>", "PEM: the certificate that this Envoy shows, its identity")
    .requiredOption("--key <file>", "PEM: its key")
    .requiredOption("--node-id <id>", "how this Envoy is called in logs and pages")
    .option("--node-cluster <name>", "how those like it are called", "credence")
    .option("--server-name <name>", "in the control plane's certificate (default: the host of --xds-address)")
    .option("--admin-socket <path>", "Unix socket of Envoy's own admin interface (default: none)")
    .addOption(
      new Option("--admin-port <port>", "the same on 127.0.0.1").argParser(port).conflicts("adminSocket"),
    )
    .addOption(dnsOption("--dns <address:port>", "name server that Envoy asks; may be given several times"))
    .addOption(new Option("--max-connections <n>", "client connections at once").argParser(positiveNumber))
    .option("--directory <dir>", "write it there, with two files by which Envoy follows its certificates")
    .addOption(new Option("--format <format>", "of the bootstrap").choices(["yaml", "json"]).default("yaml"))
    .addHelpText(
      "after",
      `
Without --directory Envoy reads its certificates once, when it starts. With it, it reads them again when a file is renamed
into their folder, as cert-manager and Kubernetes do.

Examples:
  credence envoy bootstrap --xds-address control.example:18000 --ca ca.pem --cert tls.crt --key tls.key \\
    --node-id edge-1 --directory /etc/envoy
  envoy -c /etc/envoy/bootstrap.yaml --drain-strategy immediate --drain-time-s 30

A connection whose listener or client check has changed goes on under the old one until Envoy drains it. With
--drain-strategy immediate each is told to leave with its next response, and after --drain-time-s (600 by default) it is cut.

Exit status: 0 done, 1 files cannot be written, 2 misuse.`,
    )
    .action(async (flags: BootstrapFlags) => (await import("./envoy/bootstrap.ts")).envoyBootstrap(flags));
}
