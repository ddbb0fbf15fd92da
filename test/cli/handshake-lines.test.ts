import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { ENGINE_NAMES } from "../../src/model/capabilities.ts";
import { chainOf } from "../behaviour/verify-cases.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { issue, issueCa, PURPOSES } from "../support/issuing.ts";
import { eventually, fetchText, scratch, startRun } from "./credence.ts";
import { pki, proxies, startControlPlane, startEnvoy } from "./fleet.ts";

interface Line {
  readonly method: string;
  readonly host: string;
  readonly handshake: string | null;
  readonly failure_id: string;
  readonly [key: string]: unknown;
}

function linesIn(stdout: string): Line[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as Line);
}

const stranger = chainOf(
  issue({ by: issueCa({ subject: "Stranger" }), subject: "client", extendedKeyUsage: [PURPOSES.client] }),
);

/** Each is a connection, what stands in its line, and the TLS version there by engine. */
const FAILURES: readonly {
  readonly handshake: string;
  readonly host: string;
  readonly versions: Readonly<Record<string, string | null>>;
  readonly act: (port: number) => Promise<void>;
}[] = [
  {
    handshake: "client_certificate_missing",
    host: "edge.example",
    versions: { node: "TLSv1.3", envoy: "TLSv1.3" },
    act: (port) => shake(port, {}),
  },
  {
    handshake: "issuer_unknown",
    host: "edge.example",
    versions: { node: "TLSv1.2", envoy: "TLSv1.2" },
    act: (port) => shake(port, { ...stranger, maxVersion: "TLSv1.2" }),
  },
  {
    handshake: "sni_unknown",
    host: "nobody.example",
    // Envoy's chain that refuses it answers in the clear.
    versions: { node: "TLSv1.3", envoy: null },
    act: (port) => shake(port, { servername: "nobody.example" }),
  },
  {
    handshake: "plaintext_peer",
    host: "-",
    versions: { node: null, envoy: null },
    act: sayPlainly,
  },
];

async function folderOf(t: Parameters<typeof scratch>[0], more = ""): Promise<string> {
  const { ca, server } = await certificates();
  const edge = { hosts: ["edge.example"], secret: "edge", ca_secret: "ca", cert_required: true };
  return scratch(t, {
    "a.yaml":
      secretYaml("ca", ca) +
      secretYaml("edge", server) +
      mappingYaml("m", { prefix: "/", service: "127.0.0.1:1" }) +
      tlsContextYaml("edge", edge) +
      more,
  });
}

for (const engine of ENGINE_NAMES) {
  const flags = engine === "envoy" ? ["--engine", "envoy", "--envoy-concurrency", "1"] : [];

  test(`${engine}: a client's handshake that failed is a line, with the id that the page has`, async (t) => {
    const tcpPort = await freePort();
    const tcp = tcpMappingYaml(tcpPort, "edge.example");
    const { process: run, ready } = await startRun(t, await folderOf(t, tcp), ...flags);
    const port = Number(ready.https?.split(":").at(-1));
    for (const [index, { act }] of FAILURES.entries()) {
      await act(port);
      await eventually(() => linesIn(run.stdout).length > index);
    }
    await sayPlainly(tcpPort);
    await eventually(() => linesIn(run.stdout).length > FAILURES.length);
    const lines = linesIn(run.stdout);
    const inCommon = {
      client: "127.0.0.1",
      method: "TLS",
      path: "-",
      status: 0,
      failure: "client_handshake_failed",
      revision: 1,
    };
    const expected = [
      ...FAILURES.map(({ handshake, host, versions }) => ({
        ...{ ...inCommon, listener: "https", host, handshake, tls_version: versions[engine] },
      })),
      {
        ...inCommon,
        ...{
          listener: `tcp-127.0.0.1-${tcpPort}`,
          host: "-",
          handshake: "plaintext_peer",
          tls_version: null,
        },
      },
    ];
    assert.deepEqual(
      lines.map((line) => Object.fromEntries(Object.keys(expected[0] ?? {}).map((key) => [key, line[key]]))),
      expected.map((each) => ({ ...each })),
    );
    const { body } = await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`);
    const records = (JSON.parse(body) as { handshakes: { id: string; reason: string }[] }).handshakes;
    assert.deepEqual(
      records.map(({ id, reason }) => [id, reason]).reverse(),
      lines.map(({ failure_id, handshake }) => [failure_id, handshake]),
    );
    const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
    for (const [reason, count] of [
      ["issuer_unknown", 1],
      ["plaintext_peer", 2],
    ])
      assert.match(
        metrics,
        new RegExp(
          `^credence_handshake_failures_total\\{direction="downstream",reason="${reason}"\\} ${count}$`,
          "m",
        ),
      );
  });

  test(`${engine}: a flood of them fills no disk`, async (t) => {
    const { process: run, ready } = await startRun(t, await folderOf(t), ...flags);
    const port = Number(ready.https?.split(":").at(-1));
    const count = 300;
    for (let left = count; left > 0; left -= 50)
      await Promise.all(Array.from({ length: 50 }, () => sayPlainly(port)));
    const sample = async (name: string): Promise<number> => {
      const { body } = await fetchText(`http://${ready.admin}/metrics`);
      return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(body)?.[1] ?? 0);
    };
    const failed = 'credence_handshake_failures_total\\{direction="downstream",reason="plaintext_peer"\\}';
    await eventually(async () => (await sample(failed)) === count);
    const leftOut = await sample("credence_access_log_handshakes_left_out_total");
    assert.ok(leftOut > 0);
    await eventually(() => linesIn(run.stdout).length === count - leftOut);
  });

  test(`${engine}: --no-access-log is for them too`, async (t) => {
    const { process: run, ready } = await startRun(t, await folderOf(t), ...flags, "--no-access-log");
    await sayPlainly(Number(ready.https?.split(":").at(-1)));
    run.child.kill("SIGTERM");
    assert.equal((await run.ended).stdout, "");
  });
}

test("Envoys of a fleet write these lines themselves, in Envoy's words", async (t) => {
  const files = await pki(t);
  files.write("edge-1", await files.authority.issue({ commonName: "edge-1", usage: "client" }));
  const port = await freePort();
  const flags = ["--https-port", String(port), "--http-port", String(await freePort())];
  const { ready } = await startControlPlane(t, await folderOf(t), files, ...flags);
  const envoy = await startEnvoy(t, files, ready.xds, "edge-1");
  await eventually(async () => (await proxies(ready.admin)).get(undefined)?.[0]?.upToDate === true);
  await eventually(() => isOpen(port));
  for (const { act } of FAILURES) await act(port);
  // Whoever looks whether the port is open leaves without a word.
  const lines = (): Line[] =>
    linesIn(envoy.stdout()).filter(({ handshake }) => handshake !== "handshake_closed");
  await eventually(() => lines().length >= FAILURES.length);
  const byWords: readonly (string | null)[] = ["client_certificate_missing", "issuer_unknown"];
  assert.deepEqual(
    lines().map(({ method, failure, host, handshake, tls_version }) => [
      ...[method, failure, host, handshake, tls_version],
    ]),
    FAILURES.map(({ handshake, host, versions }) => [
      ...["TLS", "client_handshake_failed", host === "-" ? null : host],
      byWords.includes(handshake) ? null : handshake,
      versions.envoy,
    ]),
  );
  assert.match(String(lines()[0]?.downstream_failure), /PEER_DID_NOT_RETURN_A_CERTIFICATE/);
});

function tcpMappingYaml(port: number, host: string): string {
  const spec = { port, host, service: "127.0.0.1:1" };
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "TCPMapping", metadata: { name: "t" }, spec })}\n`;
}

function shake(port: number, options: ConnectionOptions): Promise<void> {
  return new Promise((resolve) => {
    const target = { port, host: "127.0.0.1", servername: "edge.example", rejectUnauthorized: false };
    connect({ ...target, ...options })
      .on("error", () => undefined)
      .on("close", () => resolve())
      .resume();
  });
}

async function sayPlainly(port: number): Promise<void> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume().write("GET / HTTP/1.1\r\nHost: edge.example\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}
