import assert from "node:assert/strict";
import { test } from "node:test";
import { consulEnvironment } from "../../../src/cli/consul-environment.ts";

const ENVIRONMENT = {
  CONSUL_HTTP_ADDR: "consul:8500",
  CONSUL_HTTP_TOKEN: "token",
  CONSUL_CLIENT_KEY: "/key.pem",
  CONSUL_CACERT: "/ca.pem",
  DATABASE_PASSWORD: "secret",
};
const BOUNDS = { namespaces: new Set(["shop"]) };

test("a gateway of its own has the whole environment for any address", () => {
  assert.deepEqual(consulEnvironment("elsewhere:8500", {}, ENVIRONMENT), ENVIRONMENT);
});

test("a group of a fleet sends the operator's token to the operator's agent alone, and reads no other variable", () => {
  for (const address of [
    "elsewhere:8500",
    "$DATABASE_PASSWORD.evil.example",
    "$CONSUL_HTTP_ADDR.evil.example",
  ]) {
    const { CONSUL_HTTP_TOKEN, CONSUL_CLIENT_KEY, CONSUL_CACERT, ...rest } = consulEnvironment(
      address,
      BOUNDS,
      ENVIRONMENT,
    );
    assert.deepEqual(
      [CONSUL_HTTP_TOKEN, CONSUL_CLIENT_KEY, CONSUL_CACERT],
      [undefined, undefined, "/ca.pem"],
    );
    assert.equal("DATABASE_PASSWORD" in rest, false);
  }
  for (const address of ["consul:8500", "$CONSUL_HTTP_ADDR", `${"$"}{CONSUL_HTTP_ADDR}`]) {
    const found = consulEnvironment(address, BOUNDS, ENVIRONMENT);
    assert.equal(found.CONSUL_HTTP_TOKEN, "token", address);
    assert.equal("DATABASE_PASSWORD" in found, false);
  }
});
