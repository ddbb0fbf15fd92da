/**
 * `npm run example spiffe | istio | linkerd | consul`: the YAML of examples/NAME in a gateway of its own, with a stand-in for the mesh
 * (an agent on a Unix socket, a service), and one request. Everything is made on the spot and gone afterwards.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority } from "../src/x509/authority.ts";
import { startConnectService } from "../test/support/connect-service.ts";
import { startConsul } from "../test/support/consul.ts";
import { startIstioSds } from "../test/support/istio-sds.ts";
import { startSpiffePeer } from "../test/support/spiffe-peer.ts";
import { startUpstream } from "../test/support/upstream.ts";
import { issueSvid, startWorkloadApi } from "../test/support/workload-api.ts";

/** What stands around the gateway. */
interface Ground {
  /** Texts of the YAML and what they are here. */
  readonly replaced: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** Of the answer: what it shows. */
  story(body: string): string;
  close(): Promise<unknown>;
}

const EXAMPLES: Readonly<Record<string, () => Promise<Ground>>> = {
  async spiffe() {
    const agent = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    const [own, orders] = [
      await issueSvid(authority, "spiffe://example.org/gateway"),
      await issueSvid(authority, "spiffe://example.org/orders"),
    ];
    agent.answer({ svids: [own] });
    const peer = await startSpiffePeer(orders.issued, [authority.certificate]);
    return {
      replaced: { "localhost:8444": `localhost:${peer.port}` },
      environment: { SPIFFE_ENDPOINT_SOCKET: `unix://${agent.path}` },
      story: (body) => `the service is spiffe://example.org/orders, and saw ${body}`,
      close: () => Promise.all([agent.close(), peer.close()]),
    };
  },
  async istio() {
    const agent = await startIstioSds();
    const authority = await createAuthority("cluster.local");
    const workload = (account: string) =>
      authority.issue({ commonName: "workload", uris: [`spiffe://cluster.local/ns/${account}`] });
    agent.push({ default: await workload("edge/sa/gateway"), ROOTCA: { ca: authority.certificate } });
    const peer = await startSpiffePeer(await workload("shop/sa/orders"), [authority.certificate], ["istio"]);
    return {
      replaced: {
        "localhost:8444": `localhost:${peer.port}`,
        "/var/run/secrets/workload-spiffe-uds/socket": agent.path,
      },
      environment: {},
      story: (body) =>
        `the service saw ${body}, asked for as ${peer.seen[0]?.sni} with the protocol ${peer.seen[0]?.alpn}`,
      close: () => Promise.all([agent.close(), peer.close()]),
    };
  },
  async linkerd() {
    const upstream = await startUpstream("cleartext");
    return {
      replaced: { "localhost:8444": `localhost:${upstream.port}` },
      environment: {},
      story: () =>
        `the service was asked with l5d-dst-override: ${upstream.seen[0]?.headers["l5d-dst-override"]}`,
      close: () => upstream.close(),
    };
  },
  async consul() {
    const agent = await startConsul();
    const peer = await startConnectService(agent, "orders");
    await agent.register({ service: "orders-sidecar-proxy", port: peer.port });
    return {
      replaced: { "localhost:8500": agent.address },
      environment: {},
      story: () => `the service saw ${peer.seen[0]?.client}, asked for as ${peer.seen[0]?.sni}`,
      close: () => Promise.all([agent.end(), peer.close()]),
    };
  },
};

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const [name = "", ...flags] = process.argv.slice(2);
const make = EXAMPLES[name];
if (make === undefined) {
  console.error(`example: one of ${Object.keys(EXAMPLES).join(", ")}; flags after it go to \`credence run\``);
  process.exit(2);
}
process.exit(await run(await make(), name, flags));

async function run(ground: Ground, example: string, runFlags: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "credence-example-"));
  const [resources, ready] = [join(folder, "resources"), join(folder, "ready.json")];
  cpSync(join(ROOT, "examples", example), resources, { recursive: true });
  for (const file of readdirSync(resources).filter((each) => each.endsWith(".yaml"))) {
    let text = readFileSync(join(resources, file), "utf8");
    for (const [written, here] of Object.entries(ground.replaced)) text = text.replaceAll(written, here);
    writeFileSync(join(resources, file), text);
  }
  const ports = ["--http-port", "0", "--https-port", "0", "--admin-port", "0", "--ready-file", ready];
  const gateway = spawn(
    process.execPath,
    [join(ROOT, "bin/credence.js"), "run", resources, ...ports, "--log-level", "warn", ...runFlags],
    { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...ground.environment } },
  );
  const ended = once(gateway, "exit");
  try {
    while (!existsSync(ready)) {
      if (gateway.exitCode !== null) return 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { http } = JSON.parse(readFileSync(ready, "utf8")) as { http: string };
    const response = await fetch(`http://${http}/orders/`);
    const body = await response.text();
    console.log(`GET /orders/ -> ${response.status}: ${response.ok ? ground.story(body) : body.trim()}`);
    return response.ok ? 0 : 1;
  } finally {
    gateway.kill();
    await ended;
    await ground.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
