import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { gatewayId } from "../rotation/soak/world.ts";
import { LIARS, type Told } from "../rotation/lies/sources.ts";
import { until } from "../support/until.ts";
import { eventually, fetchText } from "./credence.ts";
import { assertPagesSilent, assertSilent, DIAG, envoyDump, plant, start } from "./key-hunt.ts";

const SOURCES = ["a SPIFFE agent", "Istio's SDS", "Consul Connect"] as const;

for (const engine of ["node", "envoy"] as const)
  test(`keys that issuers deliver over a socket are nowhere else, good or bad (${engine})`, async (t) => {
    const { keys, path, home, authority, port } = await plant(t);
    const issue = async (site: string): Promise<Told> => {
      const issued = await authority.issue({ commonName: site, uris: [gatewayId(site)] });
      keys.addKey(`${site} ${issued.certificate.slice(60, 70)}`, issued.privateKey);
      return { ...issued, anchors: [authority.certificate] };
    };
    const sites = await Promise.all(
      SOURCES.map(async (source, index) => {
        const name = `issued-${index}`;
        const liar = await (LIARS[source] as (typeof LIARS)[string])(path, name);
        t.after(() => liar.stop());
        const told = await issue(name);
        await liar.tell(told);
        return { name, liar, told };
      }),
    );
    writeFileSync(
      join(path, "e-issued.yaml"),
      sites
        .map(
          ({ name, liar }) =>
            tlsContextYaml(name, { identity: liar.context.identity }) +
            mappingYaml(name, { prefix: `/${name}/`, service: `https://localhost:${port}`, tls: name }),
        )
        .join(""),
    );
    const readyFile = join(home, "ready.json");
    const run = start(
      t,
      home,
      ...["run", path, "--engine", engine, "--log-level", "debug", "--log-format", "json", "--allow-partial"],
      ...["--drain-seconds", "0", "--http-port", "0", "--https-port", "0", "--admin-port", "0"],
      ...["--ready-file", readyFile, ...(engine === "envoy" ? ["--envoy-concurrency", "1"] : [])],
    );
    await eventually(() => {
      if (run.child.exitCode !== null) throw new Error(`run ended: ${run.stderr.slice(-2000)}`);
      return existsSync(readyFile);
    });
    const { admin } = JSON.parse(readFileSync(readyFile, "utf8")) as { admin: string };
    const page = async (): Promise<string> => (await fetchText(`http://${admin}${DIAG}`)).body;
    await eventually(async () => {
      const text = await page();
      return sites.every(({ name }) => text.includes(gatewayId(name)));
    });
    const watching = start(t, home, "certs", "watch", path);
    await eventually(() => watching.stdout.includes("ending within"));
    const another = await Promise.all(sites.map(({ name }) => issue(name)));
    await Promise.all(sites.map(({ liar }, index) => liar.tell(another[index] as Told)));
    await eventually(() => (watching.stdout.match(/rotated to generation 2/g)?.length ?? 0) >= sites.length);
    // Of each site, one after the other; what is said of it stands on the page before the next.
    const lies: readonly [(good: Told, other: Told) => Partial<Told>, RegExp][] = [
      [(_, { privateKey }) => ({ privateKey }), /private-key-mismatch/],
      [({ privateKey }) => ({ certificate: privateKey }), /holds no certificate|cannot be read/],
      [(_, { privateKey }) => ({ privateKey: privateKey.slice(0, 150) }), /pem-|private-key-/],
      [({ privateKey }) => ({ anchors: [privateKey] }), /pem-|trust-|holds no|none that can be read/],
      [({ privateKey }) => ({ privateKey: encrypted(privateKey) }), /private-key-|pem-/],
    ];
    for (const [lie, said] of lies) {
      await Promise.all(
        sites.map(({ liar, told }, index) => {
          const good = another[index] as Told;
          return liar.tell({ ...good, ...lie(good, told) });
        }),
      );
      await until(
        async () => {
          const { diagnostics } = JSON.parse(await page()) as { diagnostics: readonly Finding[] };
          return sites.every(({ name }) =>
            diagnostics.some(
              (each) => each.subject.name === name && said.test(`${each.code} ${each.message}`),
            ),
          );
        },
        30_000,
        async () => `${said} of each in ${await page()}`,
      );
      await assertPagesSilent(keys, admin, `${said}`);
      assert.deepEqual(keys.findBelow(home), [], `files, ${said}`);
      await Promise.all(sites.map(({ liar }, index) => liar.tell(another[index] as Told)));
    }
    if (engine === "envoy") {
      const dump = await envoyDump(home);
      assert.match(dump, /spiffe|istio/);
      assert.deepEqual(keys.find(dump), [], "what Envoy's own admin interface tells");
    }
    run.child.kill("SIGTERM");
    watching.child.kill("SIGINT");
    assertSilent(keys, await run.ended, "run with an issuer");
    assertSilent(keys, await watching.ended, "certs watch with an issuer");
    assert.deepEqual(keys.findBelow(home), []);
  });

interface Finding {
  readonly code: string;
  readonly message: string;
  readonly subject: { readonly name: string };
}

function encrypted(pem: string): string {
  return createPrivateKey(pem).export({
    ...{ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "planted" },
  }) as string;
}
