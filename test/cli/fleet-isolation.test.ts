import assert from "node:assert/strict";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { boundedResources, boundsOf } from "../../src/cli/group-bounds.ts";
import { loadGateway } from "../../src/cli/load.ts";
import { CertificateFiles } from "../../src/sources/files/certificate-files.ts";
import { createAuthority } from "../../src/x509/authority.ts";
import { credence, eventually, scratch } from "./credence.ts";

/** What no group may read but those that are told so: `team-a`, and beside it what is another's. */
async function machine(t: TestContext) {
  const folder = scratch(t);
  const issued = await (await createAuthority("team CA")).issue({
    commonName: "team",
    dnsNames: ["team.example"],
  });
  for (const name of ["team-a", "team-b"]) {
    mkdirSync(join(folder, name, "..data"), { recursive: true });
    // As kubelet mounts Secrets: links within the folder.
    writeFileSync(join(folder, name, "..data", "tls.crt"), issued.certificate);
    writeFileSync(join(folder, name, "..data", "tls.key"), issued.privateKey);
    for (const file of ["tls.crt", "tls.key"]) symlinkSync(join("..data", file), join(folder, name, file));
  }
  return { folder, teamA: join(folder, "team-a"), teamB: join(folder, "team-b") };
}

function context(name: string, spec: unknown): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "TLSContext", metadata: { name, namespace: "a" }, spec })}\n`;
}

const pair = (folder: string) => ({
  cert_chain_file: join(folder, "tls.crt"),
  private_key_file: join(folder, "tls.key"),
});

const GROUP = { namespaces: ["a"] };
const FLAGS = { engine: "envoy", ambassadorId: "default" } as const;

test("a group names certificate files in its own folders alone, wherever links lead", async (t) => {
  const { teamA, teamB, folder } = await machine(t);
  symlinkSync(join(teamB, "tls.key"), join(teamA, "escape.key"));
  symlinkSync(teamB, join(teamA, "below"));
  symlinkSync(join(folder, "nowhere"), join(teamA, "dangling.key"));
  symlinkSync(teamA, join(folder, "link-to-a"));
  const yaml = scratch(t, {
    "a.yaml": [
      context("own", pair(teamA)),
      context("by-link", pair(join(folder, "link-to-a"))),
      context("other", pair(teamB)),
      context("dots", pair(join(teamA, "x", "..", "..", "team-b").replace("team-b", "../team-a/../team-b"))),
      context("escape", { ...pair(teamA), private_key_file: join(teamA, "escape.key") }),
      context("below", pair(join(teamA, "below"))),
      context("dangling", { ...pair(teamA), private_key_file: join(teamA, "dangling.key") }),
      context("prefix", pair(`${teamA}-not`)),
      context("ca", { cacert_chain_file: join(teamB, "tls.crt") }),
      context("crl", {
        ...pair(teamA),
        cacert_chain_file: join(teamA, "tls.crt"),
        verify: { crl_file: "/etc/passwd" },
      }),
    ].join(""),
  });
  const usable = async (files?: readonly string[]): Promise<string[]> => {
    const bounds = boundsOf({ ...GROUP, ...(files === undefined ? {} : { files }) });
    const { compilation } = await loadGateway([yaml], FLAGS, bounds);
    return [...compilation.contexts.values()]
      .filter((found) => found.unusable === null)
      .map(({ resource }) => resource.name)
      .sort();
  };
  assert.deepEqual(await usable([teamA]), ["by-link", "own"]);
  assert.deepEqual(await usable([join(folder, "link-to-a")]), ["by-link", "own"]);
  assert.deepEqual(await usable(), []);
  const { diagnostics } = await loadGateway([yaml], FLAGS, boundsOf({ ...GROUP, files: [teamA] }));
  const other = diagnostics.filter(({ subject }) => subject.name === "other");
  assert.ok(
    other.some(
      ({ code, source, remedy }) =>
        code === "outside-group" && source?.line !== undefined && /`files`/.test(remedy),
    ),
    JSON.stringify(other),
  );
  // Of what is elsewhere not even whether it exists is said.
  const missing = diagnostics.filter(({ subject }) => subject.name === "prefix").map(({ code }) => code);
  assert.deepEqual([...new Set(missing)], ["outside-group"]);
});

test("a file that becomes a link to elsewhere is not read", async (t) => {
  const { teamA, teamB } = await machine(t);
  const other = await (await createAuthority("other CA")).issue({ commonName: "other" });
  for (const [file, text] of [
    ["tls.crt", other.certificate],
    ["tls.key", other.privateKey],
  ] as const)
    writeFileSync(join(teamB, "..data", file), text);
  const offered: { readonly text: string; readonly codes: readonly (string | undefined)[] }[] = [];
  const files = new CertificateFiles(
    {
      offer: (_, material) => {
        const { privateKey = "", certificateChain = "", unreadable = {} } = material;
        offered.push({
          text: privateKey + certificateChain,
          codes: Object.values(unreadable).map(({ code }) => code),
        });
      },
      remove() {},
    },
    [teamA],
  );
  t.after(() => files.stop());
  const origin = { subject: { kind: "TLSContext", namespace: "a", name: "x" } };
  await files.follow([
    {
      name: "files/a/x",
      certificateChain: join(teamA, "tls.crt"),
      privateKey: join(teamA, "tls.key"),
      origin,
      places: {},
    },
  ]);
  assert.match(offered[0]?.text ?? "", /PRIVATE KEY/);
  for (const file of ["tls.crt", "tls.key"]) {
    symlinkSync(join(teamB, file), join(teamA, "next"));
    renameSync(join(teamA, "next"), join(teamA, file));
  }
  await eventually(async () => offered.length > 1);
  assert.deepEqual(offered.at(-1), { text: "", codes: ["outside-group", "outside-group"] });
});

test("an issuer's socket or Consul service that is not the group's closes the context", async (t) => {
  const { folder, teamA, teamB } = await machine(t);
  symlinkSync(join(teamB, "agent.sock"), join(teamA, "escape.sock"));
  const yaml = scratch(t, {
    "a.yaml": [
      context("own", { identity: { spiffe: { socket: join(teamA, "agent.sock") } } }),
      context("other", { identity: { spiffe: { socket: `unix://${join(teamB, "agent.sock")}` } } }),
      context("escape", { identity: { istio_sds: { socket: join(teamA, "escape.sock") } } }),
      context("environment", { identity: { spiffe: {} } }),
      context("consul-own", { identity: { consul: { resolver: "r", service: "web" } } }),
      context("consul-other", { identity: { consul: { resolver: "r", service: "bank" } } }),
    ].join(""),
  });
  const before = process.env.SPIFFE_ENDPOINT_SOCKET;
  process.env.SPIFFE_ENDPOINT_SOCKET = join(folder, "control-plane.sock");
  t.after(() => {
    if (before === undefined) delete process.env.SPIFFE_ENDPOINT_SOCKET;
    else process.env.SPIFFE_ENDPOINT_SOCKET = before;
  });
  const { resources } = await loadGateway([yaml], FLAGS);
  const refused = async (group: Parameters<typeof boundsOf>[0]) => {
    const bounded = await boundedResources(boundsOf(group), { resources, diagnostics: [], complete: true });
    assert.ok(
      bounded.diagnostics.every(({ code, source }) => code === "outside-group" && source !== undefined),
    );
    for (const { subject, remedy } of bounded.diagnostics)
      assert.match(remedy, subject.name.startsWith("consul-") ? /`consul_services`/ : /`files`/);
    const closed = bounded.resources.tlsContexts.filter(({ closedBy }) => closedBy === "outside-group");
    assert.equal(closed.length, bounded.diagnostics.length);
    return closed.map(({ name }) => name).sort();
  };
  assert.deepEqual(await refused(GROUP), [
    "consul-other",
    "consul-own",
    "environment",
    "escape",
    "other",
    "own",
  ]);
  assert.deepEqual(await refused({ ...GROUP, files: [teamA], consulServices: ["web"] }), [
    "consul-other",
    "environment",
    "escape",
    "other",
  ]);
  assert.deepEqual(await refused({}), []);
});

test("a Consul agent's socket that is not the group's closes the resolver; the operator's own agent may be asked", async (t) => {
  const { teamA, teamB } = await machine(t);
  const operators = `unix://${join(teamB, "consul.sock")}`;
  const resolver = (name: string, address: string): string =>
    `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "ConsulResolver", metadata: { name, namespace: "a" }, spec: { address, datacenter: "dc1" } })}\n`;
  const yaml = scratch(t, {
    "a.yaml": [
      resolver("own", `unix://${join(teamA, "consul.sock")}`),
      resolver("other", `unix://${join(teamB, "other.sock")}`),
      resolver("dots", `unix://${teamA}/../team-b/other.sock`),
      resolver("tcp", "consul.example:8500"),
      resolver("operators", operators),
      resolver("by-variable", "$CONSUL_HTTP_ADDR"),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as Consul's client has it
      resolver("pieced", "unix://${CONSUL_NAMESPACE}/other.sock"),
    ].join(""),
  });
  const before = { ...process.env };
  process.env.CONSUL_HTTP_ADDR = operators;
  process.env.CONSUL_NAMESPACE = teamB;
  t.after(() => {
    for (const name of ["CONSUL_HTTP_ADDR", "CONSUL_NAMESPACE"])
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
  });
  const { resources } = await loadGateway([yaml], FLAGS);
  const refused = async (group: Parameters<typeof boundsOf>[0]) => {
    const bounded = await boundedResources(boundsOf(group), { resources, diagnostics: [], complete: true });
    const closed = bounded.resources.resolvers.filter(({ closedBy }) => closedBy === "outside-group");
    const told = bounded.diagnostics.filter(
      ({ code, source }) => code === "outside-group" && source !== undefined,
    );
    assert.equal(told.length, closed.length);
    return closed.map(({ name }) => name).sort();
  };
  assert.deepEqual(await refused({ ...GROUP, files: [teamA] }), ["dots", "other", "pieced"]);
  assert.deepEqual(await refused(GROUP), ["dots", "other", "own", "pieced"]);
  assert.deepEqual(await refused({}), []);
});

test("resources that are the same stay the same object for a group, until one of them is refused or no longer", async (t) => {
  const { folder, teamA, teamB } = await machine(t);
  const link = join(teamA, "sockets");
  mkdirSync(join(teamA, "inside"));
  symlinkSync(join(teamA, "inside"), link);
  const yaml = scratch(t, {
    "a.yaml": context("own", { identity: { spiffe: { socket: join(link, "agent.sock") } } }),
  });
  const { resources } = await loadGateway([yaml], FLAGS);
  const bounds = boundsOf({ ...GROUP, files: [teamA] });
  const bounded = (whole = resources, of = bounds) =>
    boundedResources(of, { resources: whole, diagnostics: [], complete: true });
  const closedBy = ({ tlsContexts }: typeof resources) => tlsContexts.map((each) => each.closedBy);
  const first = await bounded();
  assert.deepEqual(closedBy(first.resources), [null]);
  assert.equal((await bounded()).resources, first.resources);

  // No resource changes, but where the link leads does.
  const swap = (target: string): void => {
    symlinkSync(target, join(folder, "next"));
    renameSync(join(folder, "next"), link);
  };
  swap(teamB);
  const refused = await bounded();
  assert.deepEqual(closedBy(refused.resources), ["outside-group"]);
  assert.equal(refused.diagnostics.length, 1);
  const again = await bounded();
  assert.equal(again.resources, refused.resources);
  assert.equal(again.diagnostics.length, 1);
  swap(join(teamA, "inside"));
  assert.deepEqual(closedBy((await bounded()).resources), [null]);

  // Neither another reading's resources nor another group's.
  assert.deepEqual((await bounded({ ...resources, tlsContexts: [] })).resources.tlsContexts, []);
  assert.deepEqual(closedBy((await bounded(resources, boundsOf(GROUP))).resources), ["outside-group"]);
});

test("check --fleet: the rules, then what each group has", async (t) => {
  const { teamA } = await machine(t);
  const yaml = scratch(t, { "a.yaml": context("own", pair(teamA)) });
  const rules = (rest: string): string =>
    join(
      scratch(t, { "fleet.yaml": `groups:\n  - { name: one, match: { dns: a.example }${rest} }\n` }),
      "fleet.yaml",
    );
  const open = await credence(t, "check", yaml, "--fleet", rules(", ambassador_id: default"));
  assert.equal(open.code, 1);
  assert.match(open.stdout, /fleet\.yaml:2:5: error fleet-invalid/);
  assert.match(open.stdout, /namespaces: all/);
  assert.match(open.stdout, /the rules of the fleet: 1 error, 0 warnings/);
  const closed = await credence(t, "check", yaml, "--fleet", rules(", namespaces: [a]"));
  assert.equal(closed.code, 1);
  assert.match(closed.stdout, /group one: .*error outside-group TLSContext own/);
  const listed = rules(`, namespaces: [a], files: [${JSON.stringify(teamA)}]`);
  const good = await credence(t, "check", yaml, "--fleet", listed, "--format", "json");
  assert.equal(good.code, 0, good.stdout);
  assert.deepEqual(JSON.parse(good.stdout), {
    version: 1,
    groups: [{ group: "one", diagnostics: [], summary: { errors: 0, warnings: 0 } }],
    summary: { errors: 0, warnings: 0 },
  });
  assert.equal((await credence(t, "check", yaml, "--fleet", rules(", namespaces: all"))).code, 0);
});
