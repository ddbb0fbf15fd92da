import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { PlantedKeys } from "../support/planted-keys.ts";
import { Credence, fetchText, scratch } from "./credence.ts";
import { type PlantedFolder, plantFolder } from "./planted-folder.ts";

/** A folder full of keys, a server that asks for a client's certificate, and a home where all that is written is found. */
export async function plant(
  t: TestContext,
): Promise<PlantedFolder & { readonly home: string; readonly port: number }> {
  const server = createServer({ requestCert: true, rejectUnauthorized: true }, (_request, response) =>
    response.end("hello"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const folder = await plantFolder(scratch(t), port);
  const { authority, upstream } = folder;
  server.setSecureContext({
    cert: upstream.certificate,
    key: upstream.privateKey,
    ca: authority.certificate,
  });
  return { ...folder, home: scratch(t), port };
}

/** Every environment that says where files go points to `home`. */
export function start(t: TestContext, home: string, ...args: string[]): Credence {
  return new Credence(t, args, { TMPDIR: home, HOME: home, XDG_CACHE_HOME: home, NODE_DEBUG: "" });
}

/** In what a process says, and in its command line and environment, which others may read. */
export function assertSilent(
  keys: PlantedKeys,
  { stdout, stderr }: Pick<Credence, "stdout" | "stderr">,
  what: string,
): void {
  assert.deepEqual(keys.find(stdout), [], `${what} on standard output`);
  assert.deepEqual(keys.find(stderr), [], `${what} on standard error`);
}

/** The configuration as Envoy has it, by the socket of its admin interface. */
export async function envoyDump(home: string): Promise<string> {
  const socket = readdirSync(home, { recursive: true, encoding: "utf8" }).find((name) =>
    name.endsWith("admin.sock"),
  );
  const path = "/config_dump?include_eds";
  const [response] = await once(
    get({ socketPath: join(home, socket ?? "nowhere"), path, agent: false }),
    "response",
  );
  let body = "";
  for await (const piece of response.setEncoding("utf8")) body += piece;
  return body;
}

export const DIAG = "/ambassador/v0/diag/?json=true";
/** All that the admin port answers, and what it answers to anything else. */
const PAGES = [
  DIAG,
  "/ambassador/v0/diag/",
  "/ambassador/v0/diag/?filter=errors",
  "/metrics",
  "/ambassador/v0/diag/?json=true&failure=0",
  "/ambassador/v0/check_alive",
  "/ambassador/v0/check_ready",
  "/ambassador/v0/anchors",
  "/",
  "/nowhere",
];

export async function assertPagesSilent(keys: PlantedKeys, admin: string, when: string): Promise<void> {
  for (const page of PAGES) {
    const { body } = await fetchText(`http://${admin}${page}`);
    assert.deepEqual(keys.find(body), [], `${page} ${when}`);
  }
}
