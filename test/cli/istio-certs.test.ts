import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { Credence, credence, scratch } from "./credence.ts";

const authority = await createAuthority("cluster.local");
const issued = await authority.issue({
  commonName: "workload",
  uris: ["spiffe://cluster.local/ns/edge/sa/gateway"],
});
const FOLDER = {
  "cert-chain.pem": issued.certificate,
  "key.pem": issued.privateKey,
  "root-cert.pem": authority.certificate,
};
const yaml = (secret: string): string =>
  mappingYaml("m", { prefix: "/", service: "orders", tls: "istio-upstream" }) +
  tlsContextYaml("istio-upstream", { secret, alpn_protocols: "istio" });

test("--istio-certs stands for the Secret istio-certs, with the mesh's root", async (t) => {
  const resources = scratch(t, { "routes.yaml": yaml("istio-certs") });
  const without = await credence(t, "check", "--strict", resources);
  assert.equal(without.code, 1);
  assert.match(without.stdout, /secret-missing/);
  const { code, stdout } = await credence(
    t,
    "check",
    "--strict",
    resources,
    "--istio-certs",
    scratch(t, FOLDER),
  );
  assert.equal(code, 0, stdout);
});

test("by 1.14's environment, in the gateway's namespace, before a Secret of that name", async (t) => {
  // The Secret lacks a CA: were it taken, the upstream would be unverified, with a warning.
  const secret = secretYaml("istio-certs", { ...issued, namespace: "ambassador" });
  const resources = scratch(t, { "all.yaml": yaml("istio-certs.ambassador") + secret });
  const environment = { AMBASSADOR_ISTIO_SECRET_DIR: scratch(t, FOLDER), AMBASSADOR_NAMESPACE: "ambassador" };
  const { code, stdout } = await new Credence(t, ["check", "--strict", resources], environment).ended;
  assert.equal(code, 0, stdout);
});

test("a folder that lacks a file closes what names it, and says which", async (t) => {
  const { "root-cert.pem": _, ...rest } = FOLDER;
  const resources = scratch(t, { "routes.yaml": yaml("istio-certs") });
  const folder = scratch(t, rest);
  const { code, stdout } = await credence(t, "check", resources, "--istio-certs", folder);
  assert.equal(code, 1);
  assert.ok(stdout.includes(join(folder, "root-cert.pem")), stdout);
  assert.match(stdout, /mapping-fails-closed/);
});
