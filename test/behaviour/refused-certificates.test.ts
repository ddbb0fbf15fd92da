import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { pem } from "../support/der.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { ecKeys, type Issued, issue, issueCa, type KeyPair, NAMES } from "../support/issuing.ts";
import { until } from "../support/until.ts";
import { after, before, describe, it } from "./engines.ts";

const root = issueCa({ subject: "Refused Root" });
const named = (subject: string, keys?: KeyPair): Issued =>
  issue({
    by: root,
    subject,
    names: [
      NAMES.dns("localhost"),
      NAMES.dns("odd.example"),
      NAMES.dns("good.example"),
      NAMES.dns("late.example"),
    ],
    ...(keys === undefined ? {} : { keys }),
  });
const secretOf = (name: string, { pem: certificate, keys }: Issued, privateKey = pkcs8(keys)): string =>
  secretYaml(name, { certificate, privateKey, ca: root.pem });

let upstream: Server;
let port: number;
/** Subjects of the certificates that the gateway presented. */
let presented: string[];

before(async () => {
  presented = [];
  const own = named("upstream");
  upstream = createServer(
    { cert: own.pem, key: pkcs8(own.keys), ca: root.pem, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      presented.push((request.socket as TLSSocket).getPeerX509Certificate()?.subject ?? "");
      response.setHeader("connection", "close").end("ok");
    },
  );
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  ({ port } = upstream.address() as AddressInfo);
});
after(() => {
  upstream.close();
  upstream.closeAllConnections();
});

/** One Secret is presented to the upstream and by odd.example, another one by good.example. */
const routes = (): string =>
  mappingYaml("up", { prefix: "/up/", service: `https://localhost:${port}`, tls: "odd" }) +
  mappingYaml("plain", { prefix: "/plain/", service: `https://localhost:${port}`, tls: "good" }) +
  tlsContextYaml("odd", { hosts: ["odd.example"], secret: "odd" }) +
  tlsContextYaml("good", { hosts: ["good.example"], secret: "good" });

describe("a key that Envoy's TLS does not present", () => {
  for (const [what, keys, isPresented] of [
    // No version of TLS 1.3 has a signature with it, so what presents it is TLS 1.2 with the curve among its groups.
    ["on secp256k1", ecKeys("secp256k1"), false],
    ["for RSA-PSS alone", generateKeyPairSync("rsa-pss", { modulusLength: 2048 }), true],
  ] as const)
    it(`${what} closes what names it when it is compiled, and nothing else`, async () => {
      const isEnvoy = engineUnderTest() === "envoy";
      const gateway = await startGateway({
        "routes.yaml": routes(),
        "secrets.yaml": secretOf("odd", named("odd", keys)) + secretOf("good", named("good")),
      });
      try {
        const { diagnostics } = await findings(gateway);
        const told = diagnostics.filter(({ code }) => code !== "mapping-fails-closed");
        if (isEnvoy) {
          assert.ok(told.length > 0);
          for (const { code, subject, source, message } of told) {
            assert.deepEqual([code, subject.kind, subject.name], ["tls-engine-cannot", "TLSContext", "odd"]);
            assert.deepEqual([basename(source?.file ?? ""), source?.line], ["routes.yaml", 6]);
            assert.match(message, /cannot use the certificate of secret odd .* Envoy does not present/);
          }
        } else assert.deepEqual(told, []);
        if (isEnvoy) {
          assert.equal(await ask(gateway, "/up/"), 503);
          assert.equal(await shownBy(gateway, "odd.example"), null);
        } else if (isPresented) {
          assert.equal(await ask(gateway, "/up/"), 200);
          assert.equal(presented.at(-1), "CN=odd");
          assert.equal(await shownBy(gateway, "odd.example"), "odd");
        }
        assert.equal(await ask(gateway, "/plain/"), 200);
        assert.equal(presented.at(-1), "CN=good");
        assert.equal(await shownBy(gateway, "good.example"), "good");
      } finally {
        await gateway.stop();
      }
    });
});

/** OpenSSL reads over the version of an EC key (RFC 5915 §3 has 1 alone), and BoringSSL does not; admission knows nothing of it. */
const unforeseen = (keys: KeyPair): string => {
  const der = keys.privateKey.export({ type: "sec1", format: "der" });
  der[4] = 2;
  const key = pem("EC PRIVATE KEY", der);
  assert.ok(createPrivateKey(key).equals(keys.privateKey));
  return key;
};

it("a Secret that Envoy refuses all the same: the last good one stays, the rest is delivered, and its YAML is told", async () => {
  const isEnvoy = engineUnderTest() === "envoy";
  const next = named("next");
  const gateway = await startGateway({
    "all.yaml": secretOf("odd", named("first")) + secretOf("good", named("good")) + routes(),
  });
  try {
    assert.equal(await ask(gateway, "/up/"), 200);
    assert.equal(await shownBy(gateway, "odd.example"), "first");
    const rest = secretOf("good", named("better")) + routes();
    const more =
      mappingYaml("late", { prefix: "/late/", service: `https://localhost:${port}`, tls: "odd" }) +
      tlsContextYaml("late", { hosts: ["late.example"], secret: "good" });
    await gateway.replace("all.yaml", secretOf("odd", next, unforeseen(next.keys)) + rest + more);
    // What came with it is in effect, of the same file and of the same stream.
    await until(async () => (await shownBy(gateway, "good.example")) === "better");
    await until(async () => (await ask(gateway, "/late/")) === 200);
    await until(async () => (await shownBy(gateway, "late.example")) === "better");
    assert.equal(await shownBy(gateway, "odd.example"), isEnvoy ? "first" : "next");
    for (const path of ["/up/", "/late/"]) {
      assert.equal(await ask(gateway, path), 200);
      assert.equal(presented.at(-1), isEnvoy ? "CN=first" : "CN=next");
    }
    assert.equal(await ask(gateway, "/plain/"), 200);
    assert.equal(presented.at(-1), "CN=better");
    if (isEnvoy)
      await until(async () => (await refusals(gateway)).some(({ subject }) => subject.kind === "Secret"));
    const refused = await refusals(gateway);
    const secret = refused.find(({ subject }) => subject.kind === "Secret");
    assert.equal(secret !== undefined, isEnvoy);
    if (secret !== undefined) {
      assert.deepEqual([secret.subject.name, secret.subject.namespace], ["odd", "default"]);
      assert.deepEqual(
        [secret.effect, basename(secret.source?.file ?? ""), secret.source?.line],
        ["kept-previous", "all.yaml", 2],
      );
      assert.match(secret.message, /its last good version stays/);
      assert.ok(!refused.some(({ message }) => message.includes("PRIVATE KEY")));
    }
    await gateway.replace("all.yaml", secretOf("odd", next) + rest + more);
    await until(async () => (await shownBy(gateway, "odd.example")) === "next");
    await until(async () => (await ask(gateway, "/up/")) === 200 && presented.at(-1) === "CN=next");
    await until(async () => (await refusals(gateway)).length === 0);
  } finally {
    await gateway.stop();
  }
});

it("a Secret that Envoy refuses from the start costs what names it alone", async () => {
  const isEnvoy = engineUnderTest() === "envoy";
  const odd = named("odd");
  const gateway = await startGateway({
    "all.yaml": secretOf("odd", odd, unforeseen(odd.keys)) + secretOf("good", named("good")) + routes(),
  });
  try {
    await until(async () => (await ask(gateway, "/plain/")) === 200);
    await until(async () => (await shownBy(gateway, "good.example")) === "good");
    assert.equal(await shownBy(gateway, "odd.example"), isEnvoy ? null : "odd");
    assert.equal(await ask(gateway, "/up/"), isEnvoy ? 503 : 200);
    if (isEnvoy)
      await until(async () => (await refusals(gateway)).some(({ subject }) => subject.kind === "Secret"));
    else assert.deepEqual(await refusals(gateway), []);
    // Nothing else is blamed, and a Secret that is mended is in use.
    assert.deepEqual(
      (await refusals(gateway)).map(({ subject }) => subject.kind),
      isEnvoy ? ["Secret"] : [],
    );
    const rest = secretOf("good", named("good")) + routes();
    await gateway.replace("all.yaml", secretOf("odd", named("mended")) + rest);
    await until(async () => (await shownBy(gateway, "odd.example")) === "mended");
    await until(async () => (await ask(gateway, "/up/")) === 200);
    assert.deepEqual(await refusals(gateway), []);
  } finally {
    await gateway.stop();
  }
});

/** A CA whose key is of a kind that nobody knows: OpenSSL reads over it until it has to verify with it, and BoringSSL loads no such anchor. */
const unforeseenCa = (ca: Issued): string => {
  const der = new X509Certificate(ca.pem).raw;
  der[der.indexOf(EC_PUBLIC_KEY) + EC_PUBLIC_KEY.length] = 0;
  return pem("CERTIFICATE", der);
};
const EC_PUBLIC_KEY = Buffer.from("2a8648ce3d0201", "hex");

it("CAs that Envoy refuses from the start cost what names them alone", async () => {
  const isEnvoy = engineUnderTest() === "envoy";
  const clients = issueCa({ subject: "Clients' Root" });
  const all = (ca: string): string =>
    secretOf("good", named("good")) +
    secretYaml("cas", { ca }) +
    routes().replaceAll('"secret":"odd"', '"secret":"good","ca_secret":"cas"');
  const gateway = await startGateway({ "all.yaml": all(unforeseenCa(clients)) });
  try {
    await until(async () => (await ask(gateway, "/plain/")) === 200);
    await until(async () => (await shownBy(gateway, "good.example")) === "good");
    assert.equal(await shownBy(gateway, "odd.example"), isEnvoy ? null : "good");
    assert.equal(await ask(gateway, "/up/"), 503);
    if (isEnvoy)
      await until(async () => (await refusals(gateway)).some(({ subject }) => subject.kind === "Secret"));
    assert.deepEqual(
      (await refusals(gateway)).map(({ subject }) => [subject.kind, subject.name]),
      isEnvoy ? [["Secret", "cas"]] : [],
    );
    await gateway.replace("all.yaml", all(root.pem));
    await until(async () => (await shownBy(gateway, "odd.example")) === "good");
    await until(async () => (await ask(gateway, "/up/")) === 200);
    assert.deepEqual(await refusals(gateway), []);
    // With good ones there, those stay.
    await gateway.replace("all.yaml", all(unforeseenCa(clients)));
    if (isEnvoy)
      await until(async () =>
        (await refusals(gateway)).some(
          ({ effect, subject }) => subject.name === "cas" && effect === "kept-previous",
        ),
      );
    assert.equal(await shownBy(gateway, "odd.example"), "good");
    assert.equal(await ask(gateway, "/plain/"), 200);
    await until(async () => (await ask(gateway, "/up/")) === (isEnvoy ? 200 : 503));
  } finally {
    await gateway.stop();
  }
});

interface Told {
  readonly code: string;
  readonly effect: string;
  readonly message: string;
  readonly subject: { readonly kind: string; readonly namespace: string; readonly name: string };
  readonly source?: { readonly file: string; readonly line: number };
}

async function findings(gateway: RunningGateway): Promise<{ diagnostics: readonly Told[] }> {
  return (await gateway.diag()) as unknown as { diagnostics: readonly Told[] };
}

async function refusals(gateway: RunningGateway): Promise<readonly Told[]> {
  return (await findings(gateway)).diagnostics.filter(({ code }) => code === "engine-refused");
}

function pkcs8({ privateKey }: KeyPair): string {
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

/** Over TLS with good.example. */
function ask({ httpsPort }: RunningGateway, path: string): Promise<number> {
  return new Promise((resolve) => {
    const options = { port: httpsPort, host: "127.0.0.1", servername: "good.example", ca: root.pem };
    let received = "";
    const socket = connect(options, () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n`),
    );
    socket.setEncoding("latin1").on("data", (text: string) => {
      received += text;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? 0)));
  });
}

/** The name in the certificate that a host presents; null: no handshake comes about. */
function shownBy({ httpsPort }: RunningGateway, servername: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port: httpsPort, host: "127.0.0.1", servername, ca: root.pem });
    socket.on("secureConnect", () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(null));
  });
}
