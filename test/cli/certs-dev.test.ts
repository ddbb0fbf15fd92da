import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { X509Certificate } from "node:crypto";
import { credence, scratch } from "./credence.ts";

test("certs dev makes a PKI that serves and verifies, in files that only their owner reads", async (t) => {
  const folder = join(scratch(t), "deep", "pki");
  const made = await credence(t, "certs", "dev", folder, "--dns", "api.example", "--dns", "*.api.example");
  assert.deepEqual([made.code, made.stderr], [0, ""]);
  const names = readdirSync(folder).sort();
  assert.deepEqual(names, [
    ".gitignore",
    "client-key.pem",
    "client.pem",
    "intermediate.pem",
    "root.pem",
    "secrets.yaml",
    "server-key.pem",
    "server.pem",
  ]);
  for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  assert.match(read(".gitignore"), /^\*$/m);
  assert.equal(read("root.pem").match(/BEGIN CERTIFICATE/g)?.length, 1);
  assert.equal(read("server.pem").match(/BEGIN CERTIFICATE/g)?.length, 2, "with its intermediate");

  const server = createServer({
    cert: read("server.pem"),
    key: read("server-key.pem"),
    ca: read("root.pem"),
    requestCert: true,
    rejectUnauthorized: true,
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: "shop.api.example",
    cert: read("client.pem"),
    key: read("client-key.pem"),
    ca: read("root.pem"),
  });
  const [accepted] = (await once(server, "secureConnection")) as [TLSSocket];
  assert.equal(accepted.authorized, true);
  accepted.end();
  socket.destroy();

  // What it prints is YAML as it stands, without a key, and Credence takes it.
  assert.ok(!made.stdout.includes("PRIVATE KEY"));
  assert.ok(!made.stdout.includes(read("client-key.pem").split("\n")[1] ?? ""));
  const yaml = scratch(t, { "tls.yaml": made.stdout });
  const checked = await credence(t, "check", yaml, join(folder, "secrets.yaml"), "--strict");
  assert.equal(checked.code, 0, checked.stdout);
  assert.match(checked.stdout, /2 TLS hosts: 0 errors, 0 warnings/);
});

test("certs dev overwrites nothing unless it is told to, and then leaves no file open to others", async (t) => {
  const folder = scratch(t, { "client-key.pem": "precious" });
  const file = join(folder, "client-key.pem");
  chmodSync(file, 0o644);
  const refused = await credence(t, "certs", "dev", folder);
  assert.equal(refused.code, 1);
  assert.equal(refused.stderr, `credence: ${file} would be overwritten; --force does so\n`);
  assert.deepEqual(readdirSync(folder), ["client-key.pem"]);
  assert.equal(readFileSync(file, "utf8"), "precious");

  writeFileSync(join(folder, "mine.txt"), "mine");
  assert.equal((await credence(t, "certs", "dev", folder, "--force")).code, 0);
  assert.match(readFileSync(file, "utf8"), /BEGIN PRIVATE KEY/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(folder, "mine.txt"), "utf8"), "mine");
});

test("certs dev makes SPIFFE IDs, kinds of key and days as asked", async (t) => {
  const folder = scratch(t);
  const id = "spiffe://dev.example/ns/shop/sa/Cart";
  const args = ["--spiffe", id, "--spiffe", "spiffe://dev.example/cart", "--days", "3", "--key", "rsa"];
  assert.equal((await credence(t, "certs", "dev", folder, ...args)).code, 0);
  const leaf = new X509Certificate(readFileSync(join(folder, "cart.pem")));
  assert.equal(leaf.subjectAltName, `URI:${id}`);
  assert.equal(leaf.publicKey.asymmetricKeyType, "rsa");
  assert.equal(Math.round((leaf.validToDate.getTime() - Date.now()) / 3_600_000), 72);
  const second = new X509Certificate(readFileSync(join(folder, "cart-2.pem")));
  assert.equal(second.subjectAltName, "URI:spiffe://dev.example/cart");
});

for (const [args, message] of [
  [["--spiffe", "spiffe://dev.example"], /It must be a SPIFFE ID with a path/],
  [["--dns", "https://a.example"], /It must be a DNS name/],
  [["--days", "0"], /It must be 1 or more/],
  [["--key", "dsa"], /Allowed choices are ec, rsa, ed25519/],
] as const) {
  test(`certs dev ${args.join(" ")} is misuse, and makes nothing`, async (t) => {
    const folder = scratch(t);
    const { code, stderr } = await credence(t, "certs", "dev", folder, ...args);
    assert.equal(code, 2);
    assert.match(stderr, message);
    assert.deepEqual(readdirSync(folder), []);
  });
}
