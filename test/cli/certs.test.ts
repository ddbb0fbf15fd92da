import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { absentAgentsYaml } from "../support/consul.ts";
import { issue, issueCa, issueList } from "../support/issuing.ts";
import { issueSvid, startWorkloadApi } from "../support/workload-api.ts";
import { Credence, credence, eventually, scratch, startRun } from "./credence.ts";

const DAY_MS = 24 * 3_600_000;
const inDays = (days: number): Date => new Date(Date.now() + days * DAY_MS);

interface Entry {
  name: string;
  kind: string;
  status: string;
  code?: string;
  generation: number;
  usedBy: { kind: string; name: string }[];
  certificates: { role: string; subject: string; expiresInDays: number; dates: string; sha256: string }[];
}

/** A root, an issuer below it, and what the two make. */
async function pki() {
  const root = await createAuthority("root", 3650);
  const issuing = await root.issueAuthority("issuing");
  return { root, issuing };
}

function secret(name: string, pair: { certificate: string; privateKey: string }, ca?: string): string {
  return secretYaml(name, { ...pair, ca });
}

test("certs list has every certificate with its chain, its end and its users, soonest first", async (t) => {
  const { root, issuing } = await pki();
  const gateway = await issuing.issue({ commonName: "gateway", notAfter: inDays(12.5) });
  const shop = await issuing.issue({
    commonName: "shop",
    dnsNames: ["shop.example"],
    notAfter: inDays(40.5),
  });
  const folder = scratch(t, {
    "a.yaml": [
      secret("shop", shop),
      secret("gateway", gateway, root.certificate),
      tlsContextYaml("shop", { hosts: ["shop.example"], secret: "shop" }),
      tlsContextYaml("up", { secret: "gateway" }),
      mappingYaml("quote", { prefix: "/quote/", service: "https://quote", tls: "up" }),
    ].join(""),
  });
  const { code, stdout, stderr } = await credence(t, "certs", "list", folder, "--format", "json");
  assert.deepEqual([code, stderr], [0, ""]);
  const { entries } = JSON.parse(stdout) as { entries: Entry[] };
  assert.deepEqual(
    entries.map(({ name, kind, certificates }) => [
      name,
      kind,
      ...certificates.map(({ role, subject }) => `${role} ${subject}`),
    ]),
    [
      ["secret/default/gateway", "credential", "leaf CN=gateway", "intermediate CN=issuing"],
      ["secret/default/shop", "credential", "leaf CN=shop", "intermediate CN=issuing"],
      ["secret/default/gateway", "trust", "ca CN=root"],
    ],
  );
  const users = ({ usedBy }: Entry): string[] => usedBy.map(({ kind, name }) => `${kind} ${name}`);
  assert.deepEqual(users(entries[0] as Entry), [
    "Mapping default/quote",
    "TLSContext default/up",
    "cluster quote:443 tls default/up",
  ]);
  assert.deepEqual(users(entries[1] as Entry), ["TLSContext default/shop", "listener https shop.example"]);
  assert.deepEqual(users(entries[2] as Entry), users(entries[0] as Entry));
  assert.deepEqual(
    entries.map(({ certificates }) => certificates[0]?.expiresInDays),
    [12, 40, 3649],
  );

  const text = await credence(t, "certs", "list", folder);
  assert.equal(text.code, 0);
  const rows = text.stdout.split("\n").filter((line) => /^ {2}\d{4}-/.test(line));
  assert.equal(rows.length, 5);
  assert.match(rows[0] ?? "", /in 12 days +valid +leaf +CN=gateway +CN=issuing +[0-9a-f]{32}$/);
  const columns = rows.map((row) => row.search(/valid /));
  assert.equal(new Set(columns).size, 1, "columns are aligned");
  assert.match(text.stdout, /expired or unusable: 0; ending within 30 days: 1\n$/);
});

test("certs list exits 1 for what is expired, refused, or named and not there", async (t) => {
  const { issuing } = await pki();
  const good = await issuing.issue({ commonName: "good" });
  const old = await issuing.issue({ commonName: "old", notBefore: inDays(-9), notAfter: inDays(-3) });
  const outcome = async (text: string) => {
    const folder = scratch(t, { "a.yaml": text });
    const { code, stdout } = await credence(t, "certs", "list", folder, "--format", "json");
    const [entry] = (JSON.parse(stdout) as { entries: Entry[] }).entries;
    return [code, entry?.status, entry?.code, entry?.certificates[0]?.dates];
  };
  assert.deepEqual(await outcome(secret("a", good)), [0, "usable", undefined, "valid"]);
  assert.deepEqual(await outcome(secret("a", old)), [1, "unusable", "certificate-expired", "expired"]);
  assert.deepEqual(await outcome(secret("a", { ...good, privateKey: old.privateKey })), [
    1,
    "unusable",
    "private-key-mismatch",
    undefined,
  ]);
  assert.deepEqual(await outcome(tlsContextYaml("up", { secret: "nowhere" })), [
    1,
    "unusable",
    "secret-missing",
    undefined,
  ]);
  assert.deepEqual(await outcome(secretYaml("ca", { ca: "garbage" })), [
    1,
    "unusable",
    "pem-invalid",
    undefined,
  ]);
});

test("certs list exits 1 where a document cannot be read: what it holds may be anything", async (t) => {
  const { code, stderr } = await credence(t, "certs", "list", scratch(t, { "a.yaml": "a: [" }));
  assert.equal(code, 1);
  assert.match(stderr, /could not be read/);
});

test("certs list tells of a path that is not there, and watch too", async (t) => {
  for (const verb of ["list", "watch"]) {
    const { code, stderr } = await credence(t, "certs", verb, "/nowhere");
    assert.deepEqual([code, stderr], [2, "credence: no such file or folder: /nowhere\n"]);
  }
});

test("certs watch says what rotates, is refused, comes and goes, and ends on SIGINT", async (t) => {
  const { root, issuing } = await pki();
  const first = await issuing.issue({ commonName: "gateway", notAfter: inDays(12) });
  const second = await issuing.issue({ commonName: "gateway", notAfter: inDays(50) });
  const folder = scratch(t, {
    "secret.yaml": secret("gateway", first, root.certificate),
    "tls.yaml": tlsContextYaml("files", {
      cert_chain_file: "PLACE/tls.crt",
      private_key_file: "PLACE/tls.key",
    }),
    "tls.crt": first.certificate,
    "tls.key": first.privateKey,
  });
  const replace = (file: string, text: string): void => {
    writeFileSync(join(folder, `.${file}`), text);
    renameSync(join(folder, `.${file}`), join(folder, file));
  };
  replace(
    "tls.yaml",
    tlsContextYaml("files", {
      cert_chain_file: join(folder, "tls.crt"),
      private_key_file: join(folder, "tls.key"),
    }),
  );
  const watching = new Credence(t, ["certs", "watch", folder, "--format", "json"]);
  const lines = () =>
    watching.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const next = async (event: string, name: string) => {
    const found = () => lines().filter((line) => line.event === event && line.name === name);
    await eventually(() => found().length > 0);
    return found().at(-1);
  };
  await eventually(() => lines().length === 1);
  assert.deepEqual(
    lines()[0].entries.map(({ name, kind }: Entry) => `${kind} ${name}`),
    ["credential files/default/files", "credential secret/default/gateway", "trust secret/default/gateway"],
  );

  replace("secret.yaml", secret("gateway", second, root.certificate));
  const rotated = await next("rotated", "secret/default/gateway");
  assert.deepEqual([rotated.generation, rotated.kind], [2, "credential"]);
  assert.equal(rotated.before[0].subject, "CN=gateway");
  assert.notEqual(rotated.before[0].serial, rotated.after[0].serial);
  assert.ok(Date.parse(rotated.before[0].notAfter) < Date.parse(rotated.after[0].notAfter));

  writeFileSync(join(folder, "tls.key"), second.privateKey);
  const refused = await next("refused", "files/default/files");
  assert.match(
    refused.reason,
    /^the private key belongs to no certificate .* the previous one stays in use$/,
  );
  writeFileSync(join(folder, "tls.key"), first.privateKey);
  const mended = await next("mended", "files/default/files");
  assert.deepEqual([mended.generation, mended.reason], [refused.generation, undefined]);
  assert.ok(!lines().some(({ event }) => event === "usable"));
  writeFileSync(join(folder, "tls.key"), second.privateKey);
  await eventually(() => lines().filter(({ event }) => event === "refused").length === 2);
  writeFileSync(join(folder, "tls.crt"), second.certificate);
  await next("rotated", "files/default/files");

  replace("more.yaml", secret("more", first));
  assert.equal((await next("appeared", "secret/default/more")).after[0].role, "leaf");
  replace("more.yaml", "");
  await next("gone", "secret/default/more");

  watching.child.kill("SIGINT");
  assert.deepEqual([(await watching.ended).code, watching.stderr], [0, ""]);
  assert.ok(!watching.stdout.includes("PRIVATE KEY"));
});

test("certs watch prints the table, then a line a change, old -> new", async (t) => {
  const { issuing } = await pki();
  const [first, second] = [
    await issuing.issue({ commonName: "a" }),
    await issuing.issue({ commonName: "a" }),
  ];
  const folder = scratch(t, { "a.yaml": secret("a", first) });
  const watching = new Credence(t, ["certs", "watch", folder]);
  await eventually(() => watching.stdout.includes("ending within"));
  writeFileSync(join(folder, "a.yaml"), secret("a", second));
  const LINE =
    /^\S+Z secret\/default\/a rotated to generation 2: leaf CN=a serial ([0-9a-f]+) until .* UTC -> CN=a serial ([0-9a-f]+) until .* UTC$/m;
  await eventually(() => LINE.test(watching.stdout));
  const [, before, after] = LINE.exec(watching.stdout) ?? [];
  assert.notEqual(before, after);
  watching.child.kill("SIGTERM");
  assert.equal((await watching.ended).code, 0);
});

test("of several Consul agents each is used by who has its resolver, and one that does not answer is said so", async (t) => {
  const folder = scratch(t, { "a.yaml": absentAgentsYaml() });
  const { stdout } = await credence(t, "certs", "list", folder, "--format", "json");
  const { entries } = JSON.parse(stdout) as { entries: Entry[] };
  for (const name of ["one", "two"]) {
    const own = entries.filter((entry) => entry.name === `consul/${name}/ambassador`);
    assert.ok(own.length > 0);
    const mappings = own.flatMap(({ usedBy }) => usedBy.filter(({ kind }) => kind === "Mapping"));
    assert.deepEqual(new Set(mappings.map((used) => used.name)), new Set([`default/${name}`]));
    assert.deepEqual(new Set(own.map(({ status }) => status)), new Set(["not-asked"]));
  }
  const watching = new Credence(t, ["certs", "watch", folder]);
  await eventually(
    () =>
      /consul\/two\/ambassador.*\n?.*issuer-unavailable: Consul at \S*nothere\.sock: /.test(
        watching.stdout,
      ) || / consul\/two\/ambassador is unusable: Consul at /.test(watching.stdout),
  );
  watching.child.kill("SIGTERM");
  await watching.ended;
});

test("certs rotate-check says what it cannot ask, and what Envoy does not tell", async (t) => {
  const check = (...flags: string[]) => credence(t, "certs", "rotate-check", ...flags);
  const nobody = await check("--admin", "http://127.0.0.1:9");
  assert.deepEqual([nobody.code, nobody.stdout], [1, ""]);
  assert.match(nobody.stderr, /^credence: http:\/\/127\.0\.0\.1:9\/ambassador\/v0\/anchors cannot be read: /);
  assert.equal((await check()).code, 2);
  assert.match(
    (await check("--admin", "x", "--quiet-for", "soon")).stderr,
    /A time is a number and s, m, h or d/,
  );

  const { root } = await pki();
  const folder = scratch(t, { "a.yaml": secretYaml("ca", { ca: root.certificate }) });
  const { ready } = await startRun(t, folder, "--engine", "envoy", "--envoy-concurrency", "1");
  const { code, stdout } = await check("--admin", ready.admin);
  assert.equal(code, 1);
  assert.match(stdout, /^Not known: the gateway runs on Envoy, /);
});

test("certs list has revocation lists until their next is due, and exits 1 for one that is stale", async (t) => {
  const ca = issueCa({ subject: "lists CA" });
  const outcome = async (nextUpdate: Date) => {
    const list = issueList({ by: ca, revoked: [issue({ by: ca, subject: "gone" })], nextUpdate });
    const secretWith = (name: string, values: Record<string, string>): string =>
      `---\n${JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: values })}\n`;
    const folder = scratch(t, {
      "a.yaml": [
        secretWith("ca", { "ca.crt": ca.pem }),
        secretWith("lists", { "crl.pem": list }),
        tlsContextYaml("up", { ca_secret: "ca", verify: { crl_secret: "lists", crl_policy: "allow-stale" } }),
        mappingYaml("quote", { prefix: "/quote/", service: "https://quote", tls: "up" }),
      ].join(""),
    });
    const { code, stdout } = await credence(t, "certs", "list", folder, "--format", "json");
    const { entries } = JSON.parse(stdout) as { entries: Entry[] };
    const found = entries.find(({ kind }) => kind === "crl");
    const [first] = found?.certificates ?? [];
    return [code, found?.usedBy.length, first?.role, first?.subject, first?.expiresInDays, first?.dates];
  };
  assert.deepEqual(await outcome(inDays(5.5)), [0, 3, "crl", "list of 1 revoked", 5, "valid"]);
  assert.deepEqual(await outcome(inDays(-1.5)), [1, 3, "crl", "list of 1 revoked", -2, "expired"]);
});

test("certs list says of what an issuer delivers that it was not asked, and takes that for no fault", async (t) => {
  const folder = scratch(t, {
    "a.yaml": tlsContextYaml("up", { identity: { spiffe: { socket: "/run/agent.sock" } } }),
  });
  const { code, stdout } = await credence(t, "certs", "list", folder);
  assert.equal(code, 0, stdout);
  assert.match(
    stdout,
    /^spiffe\/run\/agent\.sock {2}key and certificate, not asked\n {2}not-asked: its issuer is asked while/m,
  );
  assert.match(stdout, /used by TLSContext default\/up/);
});

test("certs list --admin has what a running gateway uses: generations, what issuers delivered, and where files differ", async (t) => {
  const { root, issuing } = await pki();
  const [first, second] = [
    await issuing.issue({ commonName: "one" }),
    await issuing.issue({ commonName: "two" }),
  ];
  const agent = await startWorkloadApi();
  t.after(() => agent.close());
  agent.answer({ svids: [await issueSvid(root, "spiffe://example.org/gateway")] });
  const folder = scratch(t, {
    "a.yaml": secret("a", first),
    "up.yaml": tlsContextYaml("up", { identity: { spiffe: { socket: agent.path } } }),
  });
  const { ready } = await startRun(t, folder);
  const list = async () => {
    const { code, stdout } = await credence(
      t,
      "certs",
      "list",
      folder,
      "--admin",
      ready.admin,
      "--format",
      "json",
    );
    const { entries } = JSON.parse(stdout) as { entries: (Entry & { reason?: string })[] };
    return { code, of: (name: RegExp) => entries.find((entry) => name.test(entry.name)) };
  };
  let listed = await list();
  assert.equal(listed.code, 0);
  const issued = listed.of(/^spiffe/);
  assert.deepEqual([issued?.status, issued?.generation, issued?.certificates.length], ["usable", 1, 1]);
  assert.deepEqual(issued?.usedBy, [{ kind: "TLSContext", name: "default/up" }]);

  const replace = (text: string): void => {
    writeFileSync(join(folder, ".a"), text);
    renameSync(join(folder, ".a"), join(folder, "a.yaml"));
  };
  replace(secret("a", second));
  await eventually(async () => {
    listed = await list();
    return listed.of(/\/a$/)?.generation === 2;
  });
  assert.equal(listed.of(/\/a$/)?.certificates[0]?.subject, "CN=two");
  assert.equal(listed.of(/\/a$/)?.reason, undefined);

  // What the gateway does not take is in the files, and not in use.
  replace(secret("a", { ...first, privateKey: second.privateKey }));
  await eventually(async () => {
    listed = await list();
    return listed.of(/\/a$/)?.reason !== undefined;
  });
  const kept = listed.of(/\/a$/);
  assert.deepEqual([kept?.status, kept?.generation, kept?.certificates[0]?.subject], ["usable", 2, "CN=two"]);
  assert.match(
    kept?.reason ?? "",
    /^the files hold what cannot be used: the private key belongs to no certificate/,
  );

  const nobody = await credence(t, "certs", "list", folder, "--admin", "http://127.0.0.1:9");
  assert.deepEqual([nobody.code, nobody.stdout], [1, ""]);
});
