import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Credence, eventually, scratch } from "./credence.ts";
import { assertPagesSilent, assertSilent, plant, start } from "./key-hunt.ts";

test("a run that cannot start, and one that crashes, say why without a key", async (t) => {
  const { keys, path, home } = await plant(t);
  const ports = ["--http-port", "0", "--https-port", "0", "--admin-port", "0", "--log-level", "debug"];
  // What happens to a gateway by a fault of its own: an error that nobody catches, once everything is loaded.
  const fault = `data:text/javascript,${encodeURIComponent(
    'setInterval(() => { if (process.env.FAULT_AT && (await0(process.env.FAULT_AT))) { process.report.writeReport(); throw new Error("a fault of the test"); } }, 50); import { existsSync as await0 } from "node:fs";',
  )}`;
  // What Node writes of a crash besides: a report, and a profile of what it was at. Neither has memory in it.
  const written = [
    `--report-directory=${home}`,
    ...["--cpu-prof", `--cpu-prof-dir=${home}`, "--trace-uncaught"],
  ].join(" ");
  const failures: readonly { args: readonly string[]; environment?: Record<string, string>; code: number }[] =
    [
      {
        args: ["run", path, ...ports, "--allow-partial", "--ready-file", join(home, "nowhere/ready.json")],
        code: 1,
      },
      { args: ["run", path, ...ports, "--admin-address", "192.0.2.1"], code: 1 },
      {
        args: ["run", path, ...ports, "--allow-partial", "--ready-file", join(home, "ready.json")],
        environment: { NODE_OPTIONS: `--import=${fault} ${written}`, FAULT_AT: join(home, "ready.json") },
        code: 70,
      },
      {
        args: ["run", path, "--engine", "envoy", "--envoy", join(path, "files/filed.key"), ...ports],
        code: 1,
      },
    ];
  for (const { args, environment = {}, code } of failures) {
    const run = new Credence(t, args, { TMPDIR: home, HOME: home, ...environment });
    const ended = await run.ended;
    assert.equal(ended.code, code, ended.stderr.slice(-2000));
    assertSilent(keys, ended, args.slice(-2).join(" "));
  }
  const left = readdirSync(home);
  for (const kind of [/^report\..*\.json$/, /\.cpuprofile$/])
    assert.ok(
      left.some((name) => kind.test(name)),
      `${kind} among ${left.join()}`,
    );
  assert.deepEqual(keys.findBelow(home), []);
});

test("a control plane writes no key, neither of its resources nor its own", async (t) => {
  const { keys, path, home, authority } = await plant(t);
  const own = await authority.issue({
    commonName: "xds",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  keys.addKey("xds", own.privateKey);
  const pki = scratch(t, {
    "ca.pem": authority.certificate,
    "xds.crt": own.certificate,
    "xds.key": own.privateKey,
    "both.pem": own.privateKey.slice(0, 100),
  });
  const readyFile = join(home, "ready.json");
  const flags = (certificate: string, key: string): string[] => [
    ...["control-plane", path, "--xds-address", "127.0.0.1:0", "--xds-cert", join(pki, certificate)],
    ...["--xds-key", join(pki, key), "--xds-client-ca", join(pki, "ca.pem"), "--allow-partial"],
    ...["--admin-port", "0", "--ready-file", readyFile, "--log-level", "debug", "--log-format", "json"],
  ];
  for (const [certificate, key] of [
    ["xds.key", "xds.crt"],
    ["xds.crt", "both.pem"],
    ["xds.key", "xds.key"],
  ] as const) {
    const ended = await start(t, home, ...flags(certificate, key)).ended;
    assert.equal(ended.code, 1, ended.stderr.slice(-500));
    assertSilent(keys, ended, `control-plane with ${certificate} and ${key}`);
  }
  const plane = start(t, home, ...flags("xds.crt", "xds.key"));
  await eventually(() => {
    if (plane.child.exitCode !== null) throw new Error(`it ended: ${plane.stderr.slice(-2000)}`);
    return existsSync(readyFile);
  });
  const ready = JSON.parse(readFileSync(readyFile, "utf8")) as { admin: string; xds: string };
  await assertPagesSilent(keys, ready.admin, "of a control plane");
  const bootstrap = await start(
    t,
    home,
    ...["envoy", "bootstrap", "--xds-address", ready.xds, "--ca", join(pki, "ca.pem"), "--node-id", "edge"],
    ...["--cert", join(pki, "xds.crt"), "--key", join(pki, "xds.key"), "--directory", join(home, "envoy")],
  ).ended;
  assert.equal(bootstrap.code, 0, bootstrap.stderr);
  assertSilent(keys, bootstrap, "envoy bootstrap");
  // A key that breaks while it serves.
  writeFileSync(join(pki, "xds.key"), own.privateKey.slice(0, 120));
  await eventually(() => /xds\.key|private key/i.test(plane.stderr.slice(-4000)));
  plane.child.kill("SIGTERM");
  await plane.ended;
  assertSilent(keys, plane, "control-plane");
  assert.deepEqual(keys.findBelow(home), []);
});
