import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualHostTable } from "../../../../src/engines/node/virtual-hosts.ts";
import { handshake, host, NO_CLIENTS, PARAMETERS, REQUIRED, setUp, virtualHost } from "./listener-setup.ts";

test("a name is found exactly, by its longest suffix of any depth, then by *", () => {
  const hosts = ["a.example", "*.example", "*.b.example", "*"].map((domain) => host(domain));
  const table = new VirtualHostTable(hosts);
  const found = (name: string): string | undefined => table.find(name)?.domain;
  assert.equal(found("a.example"), "a.example");
  assert.equal(found("x.example"), "*.example");
  assert.equal(found("x.y.example"), "*.example");
  assert.equal(found("x.b.example"), "*.b.example");
  assert.equal(found("x.y.b.example"), "*.b.example");
  assert.equal(found("b.example"), "*.example");
  for (const name of ["example", ".example", "other", ""]) assert.equal(found(name), "*", name);
  const few = new VirtualHostTable(hosts.slice(0, 2));
  for (const name of ["example", ".example", "other", "", "*"]) assert.equal(few.find(name), undefined, name);
  assert.equal(few.terminatesTls, true);
  assert.equal(new VirtualHostTable([virtualHost("*", { mode: "cleartext" })]).terminatesTls, false);
});

// With a second policy every connection is peeked at; with one, none is. What is answered must be the same.
for (const peeked of [false, true]) {
  const others = peeked ? [host("mutual.test", REQUIRED)] : [];
  const way = peeked ? "peeked" : "direct";

  test(`each name is shown its own certificate (${way})`, async () => {
    const gateway = await setUp([host("a.example"), host("*.example"), ...others]);
    try {
      const subject = async (servername: string): Promise<string | undefined> =>
        (await handshake(gateway.port, { servername })).subject;
      assert.equal(await subject("a.example"), "CN=a.example");
      assert.equal(await subject("A.Example"), "CN=a.example");
      assert.equal(await subject("x.y.example"), "CN=*.example");
      const [first] = gateway.accepted;
      assert.equal(first?.serverName, "a.example");
      assert.deepEqual([first.secure, first.clients, first.clientIdentity], [true, NO_CLIENTS, null]);
      assert.deepEqual([first.remoteAddress, first.tlsVersion], ["127.0.0.1", "TLSv1.3"]);
      assert.match(first.tlsCipher ?? "", /^TLS_/);
    } finally {
      await gateway.close();
    }
  });

  test(`an unknown name and no name are refused without a host for * (${way})`, async () => {
    const gateway = await setUp([host("a.example"), ...others]);
    try {
      for (const servername of ["b.example", "x.a.example", ""]) {
        const refused = await handshake(gateway.port, { servername });
        assert.deepEqual([refused.echoed, refused.subject], [false, undefined], servername);
        // tlsv1 unrecognized name
        if (peeked || servername !== "") assert.match(refused.error ?? "", /UNRECOGNIZED_NAME/);
      }
      assert.equal(gateway.accepted.length, 0);
      const { handshakeFailures } = gateway.listener;
      if (peeked) assert.deepEqual([...handshakeFailures], [["sni_unknown", 3]]);
      else assert.equal(handshakeFailures.get("sni_unknown"), 2);
    } finally {
      await gateway.close();
    }
  });

  test(`the host for * answers every other name and none, until it is gone (${way})`, async () => {
    const gateway = await setUp([host("a.example"), host("*"), ...others]);
    try {
      for (const servername of ["b.example", ""])
        assert.equal((await handshake(gateway.port, { servername })).subject, "CN=*", servername);
      assert.deepEqual(
        gateway.accepted.map(({ serverName }) => serverName),
        ["b.example", null],
      );
      await gateway.issue("*", "renewed");
      assert.equal((await handshake(gateway.port)).subject, "CN=renewed");
      gateway.update(host("a.example"), ...others);
      assert.equal((await handshake(gateway.port)).echoed, false);
      gateway.update(host("a.example"), host("*"), ...others);
      assert.equal((await handshake(gateway.port)).echoed, true);
      gateway.store.remove("*");
      assert.equal((await handshake(gateway.port)).echoed, false);
    } finally {
      await gateway.close();
    }
  });

  test(`a host that cannot be served is refused, whatever else there is (${way})`, async () => {
    const refusing = virtualHost("closed.test", { mode: "refuse", code: "secret-missing" });
    const unreadable = host("unreadable.test");
    const gateway = await setUp([refusing, unreadable, host("*"), ...others]);
    try {
      gateway.store.remove("unreadable.test");
      for (const servername of ["closed.test", "unreadable.test"]) {
        const refused = await handshake(gateway.port, { servername });
        assert.deepEqual([refused.echoed, refused.subject], [false, undefined], servername);
      }
      assert.deepEqual([...gateway.listener.handshakeFailures], [["credential_unavailable", 2]]);
      assert.equal((await handshake(gateway.port, { servername: "other.test" })).echoed, true);
    } finally {
      await gateway.close();
    }
  });
}

test("parameters that OpenSSL does not take close their own host only", async () => {
  const gateway = await setUp([host("bad.test", NO_CLIENTS, { groups: ["nonsense"] }), host("good.test")]);
  try {
    assert.equal((await handshake(gateway.port, { servername: "bad.test" })).echoed, false);
    assert.equal((await handshake(gateway.port, { servername: "good.test" })).echoed, true);
    gateway.update(host("bad.test", NO_CLIENTS, { groups: ["nonsense"] }));
    assert.equal((await handshake(gateway.port, { servername: "bad.test" })).echoed, false);
  } finally {
    await gateway.close();
  }
});

test("versions, cipher suites and application protocols are those of the host", async () => {
  const gateway = await setUp([
    host("new.test", NO_CLIENTS, { minVersion: "v1.3" }),
    host("old.test", NO_CLIENTS, { minVersion: "v1.0", maxVersion: "v1.1" }),
    host("named.test", NO_CLIENTS, { cipherSuites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] }),
  ]);
  try {
    const { port } = gateway;
    const version = async (servername: string, options = {}): Promise<string | null> =>
      (await handshake(port, { servername, ...options })).version;
    assert.equal(await version("new.test", { maxVersion: "TLSv1.2" }), null);
    assert.equal(await version("new.test"), "TLSv1.3");
    assert.equal(await version("old.test"), null);
    const obsolete = { minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" };
    assert.equal(await version("old.test", obsolete), "TLSv1.1");
    assert.equal(await version("named.test"), "TLSv1.3");
    const named = await handshake(port, { servername: "named.test", maxVersion: "TLSv1.2" });
    assert.equal(named.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert.equal((await handshake(port, { servername: "new.test", ALPNProtocols: ["h2"] })).echoed, false);
    assert.equal(
      (await handshake(port, { servername: "new.test", ALPNProtocols: ["h2", "http/1.1"] })).echoed,
      true,
    );
    const { handshakeFailures } = gateway.listener;
    assert.equal(handshakeFailures.get("no_common_version"), 2);
    assert.equal(handshakeFailures.get("alpn_mismatch"), 1);
    assert.equal(PARAMETERS.minVersion, "v1.2");
  } finally {
    await gateway.close();
  }
});
