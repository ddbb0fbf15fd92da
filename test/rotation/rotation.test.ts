import assert from "node:assert/strict";
import { it } from "../behaviour/engines.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { startUpstream } from "../support/upstream.ts";

/** Each costs an Envoy a new cluster, and the test the time for it. */
const rotations = (): number =>
  Number(process.env.CREDENCE_ROTATIONS ?? (engineUnderTest() === "node" ? 200 : 40));

it("rotations of the client certificate under load lose no request, and the old one goes out of use", async () => {
  const upstream = await startUpstream("mtls");
  const { ca } = await certificates();
  const credentials = await Promise.all(
    Array.from({ length: 8 }, (_, index) => ca.issue({ commonName: `generation-${index}`, usage: "client" })),
  );
  const secret = (index: number): string =>
    secretYaml("certs", { ...(credentials[index % 8] as (typeof credentials)[0]), ca: ca.certificate });
  const gateway = await startGateway(
    {
      "routes.yaml":
        mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
        tlsContextYaml("ctx", { hosts: [], secret: "certs" }),
      "secret.yaml": secret(0),
    },
    { watch: true },
  );
  const url = `http://127.0.0.1:${gateway.httpPort}/`;
  try {
    const { revision } = await gateway.diag();
    const running = startLoad(url, 4);
    const last = rotations();
    for (let index = 1; index <= last; index++) {
      await gateway.replace("secret.yaml", secret(index));
      // Every rotation is meant to be seen: the gateway's own reload is asked for, as SIGHUP does.
      await gateway.gateway.control.reload();
    }
    const { requests, failures } = await running.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `only ${requests} requests`);

    const names = new Set(upstream.seen.map(({ clientSubject }) => clientSubject));
    assert.equal(names.size, 8, "every generation was presented");
    // An Envoy acknowledges the last secret before its users move on to it.
    const isLast = (): boolean => upstream.seen.at(-1)?.clientSubject === `CN=generation-${last % 8}`;
    const end = Date.now() + 1000;
    do await (await fetch(url)).text();
    while (!isLast() && Date.now() < end);
    assert.ok(isLast(), `${upstream.seen.at(-1)?.clientSubject} is shown a second after the last rotation`);
    assert.deepEqual((await gateway.diag()).revision, revision, "a rotation compiles nothing");
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a Secret replaced on disk reaches new connections within a second, by the watch alone", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const next = await ca.issue({ commonName: "next", usage: "client" });
  const gateway = await startGateway(
    {
      "routes.yaml":
        mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
        tlsContextYaml("ctx", { hosts: [], secret: "certs" }),
      "secret.yaml": secretYaml("certs", { ...client, ca: ca.certificate }),
    },
    { watch: true },
  );
  const url = `http://127.0.0.1:${gateway.httpPort}/`;
  try {
    await (await fetch(url)).text();
    await gateway.replace("secret.yaml", secretYaml("certs", { ...next, ca: ca.certificate }));
    const end = Date.now() + 1000;
    do {
      await new Promise((resolve) => setTimeout(resolve, 25));
      await (await fetch(url)).text();
    } while (upstream.seen.at(-1)?.clientSubject !== "CN=next" && Date.now() < end);
    assert.equal(upstream.seen.at(-1)?.clientSubject, "CN=next");
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a good credential replaced by a bad one stays in use and says so; removed, its route answers 503 at once", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client, server } = await certificates();
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
      tlsContextYaml("ctx", { hosts: [], secret: "certs" }),
    "secret.yaml": secretYaml("certs", { ...client, ca: ca.certificate }),
  });
  const url = `http://127.0.0.1:${gateway.httpPort}/`;
  const status = async (): Promise<number> => {
    const response = await fetch(url);
    await response.text();
    return response.status;
  };
  try {
    assert.equal(await status(), 200);
    await gateway.replace(
      "secret.yaml",
      secretYaml("certs", {
        certificate: client.certificate,
        privateKey: server.privateKey,
        ca: ca.certificate,
      }),
    );
    assert.equal(await status(), 200);
    const codes = (await gateway.diag()).diagnostics.map(({ code }) => code);
    assert.ok(
      codes.includes("private-key-mismatch") && codes.includes("credential-kept-previous"),
      codes.join(),
    );
    await gateway.replace("secret.yaml", "# gone\n");
    assert.equal(await status(), 503);
    await gateway.replace("secret.yaml", secretYaml("certs", { ...client, ca: ca.certificate }));
    assert.equal(await status(), 200);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("reloads that change the routes lose no request", async () => {
  const upstream = await startUpstream("cleartext");
  const routes = (count: number): string =>
    Array.from({ length: count }, (_, index) =>
      mappingYaml(`extra-${index}`, { prefix: `/extra-${index}/`, service: "localhost:1" }),
    ).join("") + mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}` });
  const gateway = await startGateway({ "routes.yaml": routes(0) });
  try {
    const running = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
    const reloads = engineUnderTest() === "node" ? 100 : 40;
    for (let index = 1; index <= reloads; index++) await gateway.replace("routes.yaml", routes(index % 7));
    const { failures } = await running.stop();
    assert.deepEqual(failures, []);
    const revision = gateway.gateway.control.state.revision?.number ?? 0;
    assert.ok(revision > reloads / 2, `revision ${revision}`);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});
