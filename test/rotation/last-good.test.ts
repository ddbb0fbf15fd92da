import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { it } from "../behaviour/engines.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/upstream.ts";

// What cannot be read any more says nothing about what it held: that stays, and the rest is followed.

async function status(gateway: RunningGateway, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`);
  await response.text();
  return response.status;
}

async function codes(gateway: RunningGateway): Promise<string[]> {
  return (await gateway.diag()).diagnostics.map(({ code }) => code);
}

const kept = (port: number): string =>
  mappingYaml("kept", { prefix: "/kept/", service: `localhost:${port}` });
const followed = (prefix: string, port: number): string =>
  mappingYaml("followed", { prefix, service: `localhost:${port}` });

/** One document each; where the others beside it can be read, they are. */
const BROKEN: Readonly<Record<string, { code: string; text: string; others: boolean }>> = {
  "that is no YAML": {
    code: "yaml-syntax",
    text: "---\nkind: Mapping\nmetadata: { name: kept\n",
    others: true,
  },
  "with a key twice": { code: "yaml-ambiguous", text: "---\nkind: Mapping\nkind: Mapping\n", others: true },
  "that is too large": {
    code: "document-too-large",
    text: `---\nkind: ${"x".repeat(2_100_000)}\n`,
    others: true,
  },
  "whose aliases expand without bound": {
    code: "yaml-ambiguous",
    text: `---\na0: &a0 [x]\n${Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n}, `.repeat(9)}]\n`).join("")}`,
    others: true,
  },
};
for (const [name, { code, text, others }] of Object.entries(BROKEN)) {
  it(`a document ${name} keeps what it held${others ? ", and the others of its file are followed" : ""}`, async () => {
    const upstream = await startUpstream("cleartext");
    const { port } = upstream;
    const gateway = await startGateway({ "routes.yaml": followed("/before/", port) + kept(port) });
    try {
      assert.equal(await status(gateway, "/kept/"), 200);
      await gateway.replace("routes.yaml", followed("/after/", port) + text);
      assert.equal(await status(gateway, "/kept/"), 200);
      if (others)
        assert.deepEqual([await status(gateway, "/before/"), await status(gateway, "/after/")], [404, 200]);
      assert.deepEqual(await codes(gateway), [code]);
      assert.equal(gateway.gateway.control.state.ready, true);
      await gateway.replace("routes.yaml", followed("/after/", port));
      assert.deepEqual([await status(gateway, "/kept/"), await status(gateway, "/after/")], [404, 200]);
      assert.deepEqual(await codes(gateway), []);
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
}

it("a file that cannot be read keeps what it held", async () => {
  // Linux has one.
  if (!existsSync("/proc/self/mem")) return;
  const upstream = await startUpstream("cleartext");
  const gateway = await startGateway({ "routes.yaml": kept(upstream.port) });
  try {
    // Its first bytes are nobody's: EIO, whoever asks.
    await symlink("/proc/self/mem", join(gateway.directory, ".unreadable"));
    await rename(join(gateway.directory, ".unreadable"), join(gateway.directory, "routes.yaml"));
    await gateway.gateway.control.reload();
    assert.equal(await status(gateway, "/kept/"), 200);
    assert.deepEqual(await codes(gateway), ["file-unreadable"]);
    await gateway.replace("routes.yaml", followed("/after/", upstream.port));
    assert.deepEqual([await status(gateway, "/kept/"), await status(gateway, "/after/")], [404, 200]);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a path that cannot be listed keeps what it held", async () => {
  const upstream = await startUpstream("cleartext");
  const gateway = await startGateway({ "routes.yaml": kept(upstream.port) });
  const elsewhere = `${gateway.directory}-elsewhere`;
  try {
    await rename(gateway.directory, elsewhere);
    await gateway.gateway.control.reload();
    assert.equal(await status(gateway, "/kept/"), 200);
    assert.deepEqual(await codes(gateway), ["file-unreadable"]);
    await rename(elsewhere, gateway.directory);
    await gateway.gateway.control.reload();
    assert.deepEqual(await codes(gateway), []);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a Secret whose data cannot be read any more keeps its last good ones in use", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const good = secretYaml("certs", { ...client, ca: ca.certificate });
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
      tlsContextYaml("ctx", { hosts: [], secret: "certs" }),
    "secret.yaml": good,
  });
  try {
    for (const bad of [
      good.replace(/ca\.crt: \S+/, "ca.crt: '?'"),
      good.replace(/tls\.crt: \S+/, "tls.crt: 7"),
      good.replace(/ {2}tls\.key: \S+\n/, ""),
      good.replace(/data:\n[\s\S]*/, "data: 7\n"),
      good.replace(/data:\n[\s\S]*/, "data: 7\nstringData: {}\n"),
    ]) {
      assert.equal(await status(gateway, "/"), 200);
      await gateway.replace("secret.yaml", bad);
      assert.equal(await status(gateway, "/"), 200);
      assert.equal(upstream.seen.at(-1)?.clientSubject, "CN=gateway");
      const found = await codes(gateway);
      assert.ok(found.includes("credential-kept-previous"), found.join());
      assert.ok(!found.includes("upstream-unverified"), "verification is on all the time");
    }
    await gateway.replace("secret.yaml", secretYaml("other", {}).replace(/data:\n$/, "data: {}\n"));
    assert.equal(await status(gateway, "/"), 503, "and one that is gone is gone");
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("in whatever order files appear, they mean what they mean at a cold start", async () => {
  const { client, server } = await certificates();
  const torn = secretYaml("certs", { certificate: client.certificate, privateKey: server.privateKey });
  const files = Object.fromEntries(
    ["a.yaml", "b.yaml", "c.yaml"].map((file) => [
      file,
      torn + mappingYaml("m", { prefix: "/", service: "https://localhost:1" }),
    ]),
  );
  const grown = await startGateway({ "b.yaml": files["b.yaml"] as string });
  const cold = await startGateway(files);
  try {
    for (const file of ["c.yaml", "a.yaml"]) await grown.replace(file, files[file] as string);
    const found = async (gateway: RunningGateway): Promise<string> =>
      JSON.stringify((await gateway.diag()).diagnostics).replaceAll(gateway.directory, "");
    assert.equal(await found(grown), await found(cold));
    const { revision } = grown.gateway.control.state;
    assert.equal(revision?.hash, cold.gateway.control.state.revision?.hash);
  } finally {
    await grown.stop();
    await cold.stop();
  }
});
