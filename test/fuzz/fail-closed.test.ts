import assert from "node:assert/strict";
import fc from "../support/fast-check.ts";
import { it } from "../behaviour/engines.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/upstream.ts";

/** What only the peer's certificate shows. */
const FOUND_IN_HANDSHAKE: ReadonlySet<string> = new Set(["CA of a stranger", "wrong name"]);
/** A good credential stays in use where a bad one takes its place. */
const KEPT: ReadonlySet<string> = new Set([
  "garbage certificate",
  "garbage key",
  "key of another",
  "encrypted key",
  "expired",
  "not yet valid",
  "empty CA",
  "CA that is a leaf",
  "no key",
]);

/** An Envoy has each of them in turn, which takes it a while. */
const runs = (): number => Number(process.env.CREDENCE_FUZZ_RUNS ?? (engineUnderTest() === "node" ? 60 : 15));

/** Ways for a TLSContext and its Secret to be broken; each must close the route that names it, and nothing else. */
const ROTATED_WITHIN_MS = 1000;
const BREAKAGES = [
  "no context",
  "context elsewhere twice",
  "no secret",
  "secret elsewhere",
  "garbage certificate",
  "garbage key",
  "key of another",
  "encrypted key",
  "expired",
  "not yet valid",
  "empty CA",
  "CA that is a leaf",
  "no key",
  "unknown secret type",
  "unknown version",
  "unknown cipher",
  "bad field",
  "CA of a stranger",
  "wrong name",
] as const;

it("fails closed, provably: sets of broken resources against real upstreams", async () => {
  const peers = {
    mtls: await startUpstream("mtls"),
    // Takes whoever comes: without a certificate, or without asking for its own.
    tls: await startUpstream("tls"),
    cleartext: await startUpstream("cleartext"),
  };
  const { mtls } = peers;
  const upstreams = Object.values(peers);
  const broken = await brokenSets();
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...BREAKAGES), { minLength: 1, maxLength: 4 }),
        fc.constantFrom("", "https://", "http://"),
        fc.constantFrom("mtls", "tls", "cleartext"),
        async (breakages, scheme, peer) => {
          const { port } = peers[peer];
          const good = await goodSet(mtls.port);
          const files: Record<string, string> = { "good.yaml": good };
          for (const [index, breakage] of breakages.entries()) {
            files[`broken-${index}.yaml`] =
              mappingYaml(`m${index}`, {
                prefix: `/broken-${index}/`,
                service: `${scheme}localhost:${port}`,
                tls: `ctx-${index}`,
              }) + broken[breakage](`ctx-${index}`, `secret-${index}`);
          }
          const gateway = await startGateway(files);
          for (const { seen } of upstreams) seen.length = 0;
          const connections = upstreams.map((upstream) => upstream.connections);
          try {
            for (const [index, breakage] of breakages.entries()) {
              const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/broken-${index}/x`);
              const body = (await response.json()) as { id: string };
              assert.equal(response.status, 503, breakage);
              assert.match(body.id, /^[0-9a-f-]{36}$/);
              const failure = await reported(gateway, body.id);
              assert.equal(failure?.route, `mapping/default/m${index}`, "the diag page knows the id");
              assert.notEqual(failure?.cause, "");
            }
            assert.deepEqual(
              upstreams.flatMap(({ seen }) => seen),
              [],
              "no upstream saw a request of a broken route",
            );
            if (!breakages.some((breakage) => FOUND_IN_HANDSHAKE.has(breakage)))
              assert.deepEqual(
                upstreams.map((upstream) => upstream.connections),
                connections,
                "nothing is even dialled",
              );
            const other = await fetch(`http://127.0.0.1:${gateway.httpPort}/good/x`);
            assert.equal(other.status, 200, "every other route still answers");
            await other.text();
            assert.equal(mtls.seen.at(-1)?.clientSubject, "CN=gateway");
          } finally {
            await gateway.stop();
          }
        },
      ),
      { numRuns: runs() },
    );
  } finally {
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  }
});

it("what breaks while it is in use is closed, or goes on with the certificate and the trust that it had", async () => {
  const [mtls, cleartext] = await Promise.all([startUpstream("mtls"), startUpstream("cleartext")]);
  const { client, ca } = await certificates();
  const broken = await brokenSets();
  const mapping = (port: number): string =>
    mappingYaml("m", { prefix: "/", service: `localhost:${port}`, tls: "ctx" });
  const good =
    mapping(mtls.port) +
    tlsContextYaml("ctx", { hosts: [], secret: "secret" }) +
    secretYaml("secret", { ...client, ca: ca.certificate });
  const gateway = await startGateway({ "a.yaml": good });
  const status = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
    await response.text();
    return response.status;
  };
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...BREAKAGES),
        fc.constantFrom(mtls, cleartext),
        async (breakage, peer) => {
          await gateway.replace("a.yaml", good);
          assert.equal(await status(), 200);
          mtls.seen.length = 0;
          await gateway.replace("a.yaml", mapping(peer.port) + broken[breakage]("ctx", "secret"));
          let answered = await status();
          // What rotates compiles nothing, so nobody waits for an Envoy to have it.
          const end = performance.now() + (engineUnderTest() === "envoy" ? ROTATED_WITHIN_MS : 0);
          while (answered === 200 && !KEPT.has(breakage) && performance.now() < end) {
            await new Promise((resolve) => setTimeout(resolve, 10));
            mtls.seen.length = 0;
            answered = await status();
          }
          if (answered !== 503) assert.deepEqual([answered, KEPT.has(breakage)], [200, true]);
          assert.deepEqual(
            mtls.seen.map(({ clientSubject }) => clientSubject),
            answered === 200 ? ["CN=gateway"] : [],
          );
          assert.deepEqual(cleartext.seen, []);
        },
      ),
      { numRuns: runs() },
    );
  } finally {
    await gateway.stop();
    await Promise.all([mtls.close(), cleartext.close()]);
  }
});

type Failure = Awaited<ReturnType<RunningGateway["diag"]>>["failures"][number];

/** An Envoy tells of it a moment later. */
async function reported(gateway: RunningGateway, id: string): Promise<Failure | undefined> {
  const end = performance.now() + 2000;
  for (;;) {
    const found = (await gateway.diag()).failures.find((failure) => failure.id === id);
    if (found !== undefined || performance.now() > end) return found;
  }
}

async function goodSet(port: number): Promise<string> {
  const { client, ca } = await certificates();
  return (
    mappingYaml("good", { prefix: "/good/", service: `localhost:${port}`, tls: "good" }) +
    tlsContextYaml("good", { hosts: [], secret: "good" }) +
    secretYaml("good", { ...client, ca: ca.certificate })
  );
}

type BrokenSet = (context: string, secret: string) => string;

async function brokenSets(): Promise<Record<(typeof BREAKAGES)[number], BrokenSet>> {
  const { client, server, ca, stranger } = await certificates();
  const DAY = 24 * 3_600_000;
  const [expired, early] = await Promise.all([
    ca.issue({
      commonName: "old",
      usage: "client",
      notBefore: new Date(Date.now() - 9 * DAY),
      notAfter: new Date(Date.now() - DAY),
    }),
    ca.issue({ commonName: "new", usage: "client", notBefore: new Date(Date.now() + DAY) }),
  ]);
  const trusted = ca.certificate;
  const context = (name: string, secret: string, more: Record<string, unknown> = {}): string =>
    tlsContextYaml(name, { hosts: [], secret, ...more });
  const withSecret =
    (parts: Parameters<typeof secretYaml>[1], more: Record<string, unknown> = {}): BrokenSet =>
    (name, secret) =>
      context(name, secret, more) + secretYaml(secret, parts);
  const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  return {
    "no context": () => "",
    "context elsewhere twice": (name, secret) =>
      ["one", "two"]
        .map((namespace) => context(name, secret).replace('"name":', `"namespace":"${namespace}","name":`))
        .join(""),
    "no secret": (name, secret) => context(name, secret),
    "secret elsewhere": (name, secret) =>
      context(name, secret) + secretYaml(secret, { ...client, ca: trusted, namespace: "elsewhere" }),
    "garbage certificate": withSecret({ certificate: garbage, privateKey: client.privateKey, ca: trusted }),
    "garbage key": withSecret({ certificate: client.certificate, privateKey: "not a key", ca: trusted }),
    "key of another": withSecret({
      certificate: client.certificate,
      privateKey: server.privateKey,
      ca: trusted,
    }),
    "encrypted key": withSecret({
      certificate: client.certificate,
      privateKey: client.privateKey.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
      ca: trusted,
    }),
    expired: withSecret({ ...expired, ca: trusted }),
    "not yet valid": withSecret({ ...early, ca: trusted }),
    "empty CA": withSecret({ ...client, ca: "" }),
    "CA that is a leaf": withSecret({ ...client, ca: server.certificate }),
    "no key": withSecret({ certificate: client.certificate, ca: trusted }),
    "unknown secret type": (name, secret) =>
      context(name, secret) +
      secretYaml(secret, { ...client, ca: trusted }).replace("type: Opaque", "type: example.com/other"),
    "unknown version": withSecret({ ...client, ca: trusted }, { min_tls_version: "v9" }),
    "unknown cipher": withSecret({ ...client, ca: trusted }, { cipher_suites: ["NO-SUCH-CIPHER"] }),
    "bad field": withSecret({ ...client, ca: trusted }, { sni: 7 }),
    "CA of a stranger": withSecret({ ...client, ca: stranger.certificate }),
    "wrong name": withSecret({ ...client, ca: trusted }, { sni: "other.example" }),
  };
}
