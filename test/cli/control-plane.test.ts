import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { AggregatedDiscoveryService } from "../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import { createAuthority } from "../../src/x509/authority.ts";
import { secretYaml } from "../support/certificates.ts";
import { DeltaClient } from "../support/delta-client.ts";
import { freePort } from "../support/free-port.ts";
import { startUpstream } from "../support/upstream.ts";
import { Credence, eventually, fetchText, scratch } from "./credence.ts";
import { until } from "../support/until.ts";
import { issueServer, object, type Pki, pki, proxies, startControlPlane, startEnvoy } from "./fleet.ts";

/** Asks for resources as any client might, and says how the stream ended. */
async function ask(
  xds: string,
  files: Pki,
  identity: { certificate: string; privateKey: string },
  request: { typeUrl: string; names: string[] },
): Promise<{ resources: Map<string, string>; removed: string[] } | ConnectError> {
  const [, port] = xds.split(":");
  const client = createClient(
    AggregatedDiscoveryService,
    createGrpcTransport({
      baseUrl: `https://localhost:${port}`,
      nodeOptions: { ca: files.authority.certificate, cert: identity.certificate, key: identity.privateKey },
    }),
  );
  let finish: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    finish = resolve;
  });
  async function* requests() {
    yield {
      // What a node says of itself counts for nothing.
      node: { id: "one" },
      typeUrl: request.typeUrl,
      resourceNamesSubscribe: request.names,
    };
    await asked;
  }
  try {
    for await (const response of client.deltaAggregatedResources(requests())) {
      return {
        resources: new Map(
          response.resources.map(({ name, resource }) => [
            name,
            Buffer.from(resource?.value ?? []).toString("latin1"),
          ]),
        ),
        removed: response.removedResources,
      };
    }
    throw new Error("the stream ended without an answer");
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  } finally {
    finish();
  }
}

const CLUSTERS = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const SECRETS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

test("each group's Envoy gets its own; nobody reads another's secrets, and a stranger is refused", async (t) => {
  const files = await pki(t);
  const { authority } = files;
  const upstream = await startUpstream("cleartext");
  t.after(() => upstream.close());
  const service = `127.0.0.1:${upstream.port}`;
  const [portOne, portTwo] = [await freePort(), await freePort()];
  const secretOf = async (namespace: string) => {
    const { certificate, privateKey } = await authority.issue({ commonName: `up of ${namespace}` });
    return { certificate, text: secretYaml("certs", { certificate, privateKey, namespace }) };
  };
  const [one, two] = await Promise.all([secretOf("one"), secretOf("two")]);
  const folder = scratch(t, {
    "one.yaml":
      object("Module", "one", "ambassador", { config: { service_port: portOne } }) +
      object("Mapping", "one", "shop", { prefix: "/", service }) +
      object("Mapping", "one", "secure", { prefix: "/s/", service: "https://localhost:1", tls: "up" }) +
      object("Mapping", "one", "thief", { prefix: "/t/", service: "https://localhost:1", tls: "thief" }) +
      object("TLSContext", "one", "up", { secret: "certs" }) +
      // Another namespace's Secret by its full name.
      object("TLSContext", "one", "thief", { secret: "certs.two" }) +
      one.text,
    "two.yaml":
      object("Module", "two", "ambassador", { config: { service_port: portTwo } }) +
      object("Mapping", "two", "depot", { prefix: "/depot/", service }) +
      object("Mapping", "two", "secure", { prefix: "/s/", service: "https://localhost:1", tls: "up" }) +
      object("TLSContext", "two", "up", { secret: "certs" }) +
      two.text,
  });
  const fleet = join(files.folder, "fleet.yaml");
  writeFileSync(
    fleet,
    `groups:
  - { name: one, match: { spiffe: "spiffe://example.org/one/*" }, namespaces: [one] }
  - { name: two, match: { spiffe: "spiffe://example.org/two" }, namespaces: [two] }
`,
  );
  const { process: plane, ready } = await startControlPlane(t, folder, files, "--fleet", fleet);
  const member = (commonName: string, uri: string) =>
    authority.issue({ commonName, uris: [uri], usage: "client" });
  const [edgeOne, edgeTwo, stranger] = await Promise.all([
    member("one", "spiffe://example.org/one/edge"),
    member("two", "spiffe://example.org/two"),
    member("three", "spiffe://example.org/three"),
  ]);
  files.write("edge-one", edgeOne);
  files.write("edge-two", edgeTwo);
  await startEnvoy(t, files, ready.xds, "edge-one");
  await startEnvoy(t, files, ready.xds, "edge-two");
  await eventually(async () => {
    const known = await proxies(ready.admin);
    return known.get("one")?.[0]?.upToDate === true && known.get("two")?.[0]?.upToDate === true;
  });
  const known = await proxies(ready.admin);
  assert.deepEqual(
    [...known].map(([group, [proxy]]) => [group, proxy?.node, proxy?.identity]),
    [
      ["one", "edge-one", "spiffe://example.org/one/edge"],
      ["two", "edge-two", "spiffe://example.org/two"],
    ],
  );
  await eventually(async () =>
    fetchText(`http://127.0.0.1:${portOne}/any`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  assert.equal((await fetchText(`http://127.0.0.1:${portTwo}/depot/x`)).status, 200);
  assert.equal((await fetchText(`http://127.0.0.1:${portTwo}/any`)).status, 404);
  // Its context names what is not there for it: closed.
  assert.equal((await fetchText(`http://127.0.0.1:${portOne}/t/`)).status, 503);

  const names = ["credential:secret/one/certs", "credential:secret/two/certs"];
  const answer = await ask(ready.xds, files, edgeOne, { typeUrl: SECRETS, names });
  assert.ok(!(answer instanceof ConnectError), String(answer));
  assert.deepEqual([...answer.resources.keys()], ["credential:secret/one/certs"]);
  assert.deepEqual(answer.removed, ["credential:secret/two/certs"]);
  const [text = ""] = answer.resources.values();
  assert.ok(text.includes(one.certificate) && !text.includes(two.certificate));

  const refused = await ask(ready.xds, files, stranger, { typeUrl: SECRETS, names });
  assert.ok(refused instanceof ConnectError && refused.code === Code.PermissionDenied, String(refused));
  const outsider = await (await createAuthority("elsewhere")).issue({
    commonName: "x",
    uris: ["spiffe://example.org/one/edge"],
  });
  const unknown = await ask(ready.xds, files, outsider, { typeUrl: SECRETS, names });
  assert.ok(unknown instanceof ConnectError, "its certificate is of another CA");
  assert.notEqual(unknown.code, Code.PermissionDenied);
  const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
  assert.match(metrics, /^credence_xds_clients_refused_total\{reason="no-group"\} 1$/m);
  assert.match(
    metrics,
    /^credence_xds_clients_refused_total\{reason="handshake",handshake="issuer_unknown"\} [1-9]/m,
  );
  // Who it was, as Node alone would not tell.
  // Its end may not be there yet.
  const ofFailure = (): string | undefined =>
    /^.*a TLS handshake for xDS failed.*\n/m.exec(plane.stderr)?.[0];
  await until(() => ofFailure() !== undefined);
  const line = ofFailure() ?? "";
  const told = JSON.parse(line) as {
    reason: string;
    certificate: { subject: string; issuer: string; sha256: string };
  };
  assert.deepEqual(
    [told.reason, told.certificate.subject, told.certificate.issuer],
    ["issuer_unknown", "CN=x", "CN=elsewhere"],
  );
  assert.match(told.certificate.sha256, /^[0-9a-f]{64}$/);
  assert.match(metrics, /^credence_envoys_connected\{group="one"\} 1$/m);
});

test("the xDS certificate is read again when it changes", async (t) => {
  const files = await pki(t);
  const { process: plane, ready } = await startControlPlane(t, scratch(t), files);
  const client = await files.authority.issue({ commonName: "c", dnsNames: ["c.example"], usage: "client" });
  const shown = async (): Promise<string> => {
    const session = connectHttp2(`https://localhost:${ready.xds.split(":")[1]}`, {
      ca: files.authority.certificate,
      cert: client.certificate,
      key: client.privateKey,
    });
    await once(session, "connect");
    const { subject } = (session.socket as TLSSocket).getPeerCertificate();
    session.close();
    return subject.CN as string;
  };
  assert.equal(await shown(), "first");
  files.write("xds", await issueServer(files.authority, "second"));
  await eventually(async () => (await shown()) === "second");
  plane.child.kill("SIGTERM");
  assert.equal((await plane.ended).code, 0);
});

test("an Envoy that answers nothing holds up no change of the others", async (t) => {
  const files = await pki(t);
  const folder = scratch(t, {
    "0.yaml": object("Mapping", "default", "m0", { prefix: "/0/", service: "s0" }),
  });
  const { ready } = await startControlPlane(t, folder, files);
  const identity = await files.authority.issue({ commonName: "member", usage: "client" });
  const [host = "", port] = ready.xds.split(":");
  const dial = () =>
    connectTls({
      ...{ host, port: Number(port), servername: "localhost", ALPNProtocols: ["h2"] },
      ...{ ca: files.authority.certificate, cert: identity.certificate, key: identity.privateKey },
    });
  const mute = new DeltaClient({ node: "mute", connect: dial, answers: false });
  const keen = new DeltaClient({ node: "keen", connect: dial });
  t.after(() => Promise.all([mute.close(), keen.close()]));
  for (const client of [mute, keen]) client.subscribeAll("cluster");
  await mute.until(() => mute.seen.length > 0);
  // Whoever waited its 10 s for the mute one would be a change behind at the second.
  for (const each of ["s1", "s2", "s3"]) {
    writeFileSync(
      join(folder, `${each}.yaml`),
      object("Mapping", "default", each, { prefix: `/${each}/`, service: each }),
    );
    await keen.until(() => [...keen.held.cluster.keys()].some((name) => name.includes(each)), each);
  }
  assert.equal(mute.failure, null);
});

test("its process keeps little of the memory that it has freed", async (t) => {
  const files = await pki(t);
  const environment = (pid: number): string => readFileSync(`/proc/${pid}/environ`, "latin1");
  const { process: plane, ready } = await startControlPlane(t, scratch(t), files);
  assert.equal(ready.pid, plane.child.pid);
  assert.match(environment(ready.pid), /\0MALLOC_MMAP_THRESHOLD_=65536\0/);
  assert.match(readFileSync(`/proc/${ready.pid}/cmdline`, "latin1"), /\0--max-semi-space-size=16\0/);
});

test("rules that are wrong and certificates that are missing keep it from starting", async (t) => {
  const files = await pki(t);
  const flags = [
    ...["control-plane", scratch(t), "--xds-address", "127.0.0.1:0", "--admin-port", "0"],
    ...["--xds-key", join(files.folder, "xds.key"), "--xds-client-ca", files.ca],
  ];
  const fleet = join(files.folder, "fleet.yaml");
  writeFileSync(fleet, "groups:\n  - name: a\n    match: { spiffe: spiffe://example.org/a }\n");
  const open = await new Credence(t, [
    ...flags,
    "--xds-cert",
    join(files.folder, "xds.crt"),
    "--fleet",
    fleet,
  ]).ended;
  assert.equal(open.code, 1);
  assert.match(open.stderr, /fleet\.yaml:2:5: error fleet-invalid\n {2}group a does not say its namespaces/);
  const missing = await new Credence(t, [...flags, "--xds-cert", join(files.folder, "none.crt")]).ended;
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^credence: the xDS stream: .*none\.crt/m);
});

test("a group with `resolve_names` is told the addresses of names; the Envoys of others ask DNS", async (t) => {
  const files = await pki(t);
  const folder = scratch(t, {
    "all.yaml": object("Mapping", "default", "m", { prefix: "/", service: "localhost:9" }),
    "fleet.yaml": `groups:
  - { name: told, match: { dns: told.example }, namespaces: [default], resolve_names: true }
  - { name: asking, match: { dns: asking.example }, namespaces: [default] }
`,
  });
  const { ready } = await startControlPlane(
    t,
    join(folder, "all.yaml"),
    files,
    ...["--fleet", join(folder, "fleet.yaml"), "--http-port", "8080"],
  );
  for (const group of ["told", "asking"]) {
    const identity = await files.authority.issue({ commonName: group, dnsNames: [`${group}.example`] });
    const found = await ask(ready.xds, files, identity, { typeUrl: CLUSTERS, names: ["*"] });
    assert.ok(!(found instanceof ConnectError));
    const names = [...found.resources.keys()].filter((name) => name.startsWith("localhost"));
    assert.equal(names.length, 1);
    const told = await ask(ready.xds, files, identity, { typeUrl: ENDPOINTS, names });
    assert.ok(!(told instanceof ConnectError));
    if (group === "asking") assert.deepEqual([told.resources.size, told.removed], [0, names]);
    else assert.match(told.resources.get(names[0] ?? "") ?? "", /127\.0\.0\.1/);
  }
});
