import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/upstream.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 60);

/** Ways for a TLSContext and its Secret to be broken; each must close the route that names it, and nothing else. */
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

it(`fails closed, provably: ${RUNS} sets of broken resources against real upstreams`, async () => {
  const [mtls, cleartext] = await Promise.all([startUpstream("mtls"), startUpstream("cleartext")]);
  const broken = await brokenSets();
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...BREAKAGES), { minLength: 1, maxLength: 4 }),
        fc.constantFrom("", "https://", "http://"),
        fc.boolean(),
        async (breakages, scheme, plaintextPeer) => {
          const port = plaintextPeer ? cleartext.port : mtls.port;
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
          mtls.seen.length = cleartext.seen.length = 0;
          try {
            for (const [index, breakage] of breakages.entries()) {
              const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/broken-${index}/x`);
              const body = (await response.json()) as { id: string };
              assert.equal(response.status, 503, breakage);
              assert.match(body.id, /^[0-9a-f-]{36}$/);
              const failure = (await gateway.diag()).failures.find(({ id }) => id === body.id);
              assert.equal(failure?.route, `mapping/default/m${index}`, "the diag page knows the id");
              assert.notEqual(failure?.cause, "");
            }
            assert.deepEqual(
              [...mtls.seen, ...cleartext.seen],
              [],
              "no upstream saw a request of a broken route",
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
      { numRuns: RUNS },
    );
  } finally {
    await Promise.all([mtls.close(), cleartext.close()]);
  }
});

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
