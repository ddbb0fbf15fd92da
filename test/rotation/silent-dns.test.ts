import assert from "node:assert/strict";
import { it } from "../behaviour/engines.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import type { IssuedCertificate } from "../../src/x509/authority.ts";
import type { DnsAnswer } from "../support/dns-server.ts";
import { startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

// A name server that is gone takes nothing away that was known: neither a rotation nor a Mapping that changes asks again.

/** An upstream that asks for a client certificate, and the Secret that CONTEXT presents to it, of four in turn. */
async function rotating(): Promise<{ upstream: Upstream; secret: (index: number) => string }> {
  const upstream = await startUpstream("mtls");
  const { ca } = await certificates();
  const credentials = await Promise.all(
    Array.from({ length: 4 }, (_, index) => ca.issue({ commonName: `generation-${index}`, usage: "client" })),
  );
  return {
    upstream,
    secret: (index) =>
      secretYaml("certs", { ...(credentials[index % 4] as IssuedCertificate), ca: ca.certificate }),
  };
}

const CONTEXT = tlsContextYaml("ctx", { hosts: [], secret: "certs", sni: "localhost" });

async function failuresWhile(answer: DnsAnswer, mapping: Record<string, unknown>) {
  const { upstream, secret } = await rotating();
  const routes = (changes: Record<string, unknown>): string =>
    mappingYaml("m", {
      prefix: "/",
      service: `https://peer.example:${upstream.port}`,
      tls: "ctx",
      timeout_ms: PATIENT_MS,
      ...mapping,
      ...changes,
    }) + CONTEXT;
  const gateway = await startGateway(
    { "routes.yaml": routes({}), "secret.yaml": secret(0) },
    { hosts: { "peer.example": ["127.0.0.1"] } },
  );
  const url = `http://127.0.0.1:${gateway.httpPort}/`;
  try {
    await until(async () => (await fetch(url)).status === 200);
    await gateway.answer("peer.example", answer);
    const running = startLoad(url, 4);
    for (let index = 1; index <= 8; index++) {
      await gateway.replace("secret.yaml", secret(index));
      // Another cluster than before, by what is asked of DNS too.
      const asking = index % 2 === 0 ? {} : { respect_dns_ttl: mapping.respect_dns_ttl !== true };
      await gateway.replace("routes.yaml", routes({ connect_timeout_ms: 2_000 + index, ...asking }));
    }
    const { requests, failures } = await running.stop();
    assert.ok(requests > 20, `only ${requests} requests`);
    // The new clusters serve, and nothing else.
    await until(() => Promise.resolve(upstream.seen.at(-1)?.clientSubject === "CN=generation-0"));
    return failures;
  } finally {
    await gateway.stop();
    await upstream.close();
  }
}

for (const answer of ["silent", "denied"] as const)
  for (const mapping of [{}, { dns_type: "logical_dns" }, { respect_dns_ttl: true }])
    it(`a name that is ${answer} keeps its addresses over rotations and changes (${JSON.stringify(mapping)})`, async () => {
      assert.deepEqual(await failuresWhile(answer, mapping), []);
    });

it("a name of which another address becomes known is reached there, whatever was kept meanwhile", async () => {
  const upstream = await startUpstream("cleartext");
  const { port } = upstream;
  const gateway = await startGateway(
    { "routes.yaml": mappingYaml("m", { prefix: "/", service: `moving.example:${port}` }) },
    { hosts: { "moving.example": ["127.0.0.1"] } },
  );
  const status = async (): Promise<number> => (await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).status;
  try {
    await until(async () => (await status()) === 200);
    // Nobody listens there.
    await gateway.answer("moving.example", ["127.0.0.2"]);
    await until(async () => (await status()) === 503, 20_000);
    assert.equal((await gateway.failure())?.reason, "upstream_connect_refused");
    await gateway.answer("moving.example", "silent");
    await gateway.replace(
      "routes.yaml",
      mappingYaml("m", { prefix: "/", service: `moving.example:${port}`, connect_timeout_ms: 900 }),
    );
    assert.equal(await status(), 503);
    await gateway.answer("moving.example", ["127.0.0.1"]);
    await until(async () => (await status()) === 200, 30_000);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a name that nobody has answers 503 for that reason, until somebody has it", async () => {
  const upstream = await startUpstream("cleartext");
  const gateway = await startGateway(
    { "routes.yaml": mappingYaml("m", { prefix: "/", service: `nobody.example:${upstream.port}` }) },
    { hosts: { "other.example": ["127.0.0.1"] } },
  );
  const status = async (): Promise<number> => (await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).status;
  try {
    await gateway.answer("nobody.example", "denied");
    assert.equal(await status(), 503);
    assert.equal((await gateway.failure())?.reason, "upstream_dns_failure");
    await gateway.answer("nobody.example", ["127.0.0.1"]);
    await until(async () => (await status()) === 200);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("rotations under load lose no request under a name server that answers now and then", async () => {
  const { upstream, secret } = await rotating();
  const names = ["a.example", "b.example", "c.example"];
  const mappings = names.map((name) =>
    mappingYaml(name.slice(0, 1), {
      prefix: `/${name}/`,
      service: `https://${name}:${upstream.port}`,
      tls: "ctx",
      timeout_ms: PATIENT_MS,
      ...(name === "b.example" ? { respect_dns_ttl: true } : {}),
    }),
  );
  const gateway = await startGateway(
    { "routes.yaml": mappings.join("") + CONTEXT, "secret.yaml": secret(0) },
    { hosts: Object.fromEntries(names.map((name) => [name, ["127.0.0.1"]])) },
  );
  const urls = names.map((name) => `http://127.0.0.1:${gateway.httpPort}/${name}/`);
  try {
    for (const url of urls) await until(async () => (await fetch(url)).status === 200);
    const loads = urls.map((url) => startLoad(url, 2));
    for (let index = 1; index <= ROTATIONS; index++) {
      for (const [at, name] of names.entries())
        await gateway.answer(name, STARVING[(index + at) % STARVING.length] as DnsAnswer);
      await gateway.replace("secret.yaml", secret(index));
    }
    const ends = await Promise.all(loads.map((load) => load.stop()));
    assert.deepEqual(
      ends.flatMap(({ failures }) => failures),
      [],
    );
    for (const { requests } of ends) assert.ok(requests > 10, `only ${requests} requests`);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

/** A machine that is busy for seconds loses no address. */
const PATIENT_MS = 30_000;
const ROTATIONS = Number(process.env.CREDENCE_ROTATIONS ?? 20);
const STARVING: readonly DnsAnswer[] = ["silent", "silent", "denied", "silent", ["127.0.0.1"]];
