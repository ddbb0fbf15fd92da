import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { sanMatcher } from "../../src/engines/envoy/tls/peer-name.ts";
import type { FlawedPeer } from "./flawed-peers.ts";

/** A real Envoy that passes TCP on to TLS servers, each verified as its peer says. */
export interface VerifyingEnvoy {
  /** What the server behind sent; empty where its certificate was refused. */
  ask(index: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startVerifyingEnvoy(
  peers: readonly (Omit<FlawedPeer, "fault"> & { readonly port: number })[],
): Promise<VerifyingEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), "envoy-"));
  // Of fifty free ports one may be taken by the time that it is opened.
  const sockets = peers.map((_, index) => join(folder, `${index}.sock`));
  const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const clusters = peers.map((peer, index) => ({
    name: `peer-${index}`,
    load_assignment: {
      cluster_name: `peer-${index}`,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(peer.port) } }] }],
    },
    transport_socket: {
      name: "tls",
      typed_config: {
        "@type": `${EXTENSIONS}transport_sockets.tls.v3.UpstreamTlsContext`,
        sni: "peer.example",
        common_tls_context: { validation_context: validationContext(peer) },
      },
    },
  }));
  const listeners = sockets.map((path, index) => ({
    name: `peer-${index}`,
    address: { pipe: { path } },
    filter_chains: [
      {
        filters: [
          {
            name: "tcp",
            typed_config: {
              "@type": `${EXTENSIONS}filters.network.tcp_proxy.v3.TcpProxy`,
              stat_prefix: "peer",
              cluster: `peer-${index}`,
            },
          },
        ],
      },
    ],
  }));
  const file = join(folder, "bootstrap.json");
  writeFileSync(file, JSON.stringify({ static_resources: { clusters, listeners } }));
  const { path } = await findEnvoy({ environment: process.env });
  const options = ["-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"];
  const child = spawn(path, options, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    errors += piece;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  // Listeners are opened in order once all is loaded.
  while (!(await isOpen(sockets.at(-1) as string))) {
    if (child.exitCode !== null) throw new Error(`Envoy ended: ${errors}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    ask: (index) => received(sockets[index] as string),
    async stop() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

const EXTENSIONS = "type.googleapis.com/envoy.extensions.";

function validationContext({ anchors, lists, rules }: Omit<FlawedPeer, "fault">): object {
  return {
    trusted_ca: { inline_string: anchors.map(({ pem }) => pem).join("") },
    match_typed_subject_alt_names: namesOf(rules?.identities),
    ...(lists === undefined ? {} : { crl: { inline_string: lists.join("") } }),
    ...(rules?.spkiSha256 === undefined ? {} : { verify_certificate_spki: rules.spkiSha256 }),
    ...(rules?.maxDepth === undefined ? {} : { max_verify_depth: rules.maxDepth }),
  };
}

function namesOf(identities: NonNullable<FlawedPeer["rules"]>["identities"]): object[] {
  if (identities === undefined) {
    const pattern = sanMatcher("peer.example").matcher?.matchPattern;
    if (pattern?.case !== "safeRegex") throw new Error("host names are matched by a pattern");
    return [{ san_type: "DNS", matcher: { safe_regex: { regex: pattern.value.regex } } }];
  }
  const { dnsNames = [], spiffeIds = [], trustDomains = [] } = identities;
  return [
    ...dnsNames.map((name) => ({ san_type: "DNS", matcher: { suffix: name.replace(/^\*/, "") } })),
    ...spiffeIds.map((id) => ({ san_type: "URI", matcher: { exact: id } })),
    ...trustDomains.map((domain) => ({ san_type: "URI", matcher: { prefix: `spiffe://${domain}/` } })),
  ];
}

function isOpen(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}

function received(path: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(path);
    socket.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    socket.on("error", () => {}).on("close", () => resolve(text));
  });
}
