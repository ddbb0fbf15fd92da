import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import {
  connected,
  handshake,
  host,
  OPTIONAL,
  ORIGIN,
  REQUIRED,
  setUp,
  virtualHost,
} from "./listener-setup.ts";

const HOSTS = [host("open.test"), host("optional.test", OPTIONAL), host("required.test", REQUIRED)];

// One policy: direct. Three: peeked.
for (const mixed of [true, false]) {
  const way = mixed ? "among other policies" : "alone";

  test(`required: none, a stranger's or a server's certificate is refused (${way})`, async () => {
    const gateway = await setUp(mixed ? HOSTS : [host("required.test", REQUIRED)]);
    try {
      const shake = (
        certificate?: { certificate: string; privateKey: string },
        maxVersion = "TLSv1.3" as const,
      ) =>
        handshake(gateway.port, {
          servername: "required.test",
          maxVersion,
          ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
        });
      const wrongUsage = await gateway.ca.issue({ commonName: "server", usage: "server" });
      const expired = await gateway.ca.issue({
        commonName: "old",
        usage: "client",
        notBefore: new Date(Date.now() - 20_000_000),
        notAfter: new Date(Date.now() - 10_000_000),
      });
      const bad = [undefined, gateway.strangersClient, wrongUsage, expired];
      for (const certificate of bad) {
        assert.equal((await shake(certificate)).echoed, false);
        assert.equal((await shake(certificate, "TLSv1.2" as never)).echoed, false);
      }
      assert.equal(gateway.accepted.length, 0);
      assert.deepEqual(Object.fromEntries(gateway.listener.handshakeFailures), {
        client_certificate_missing: 2,
        issuer_unknown: 2,
        purpose_wrong: 2,
        certificate_expired: 2,
      });
      assert.equal((await shake(gateway.client)).echoed, true);
      const [accepted] = gateway.accepted;
      assert.equal(accepted?.clientIdentity, "CN=client");
      assert.deepEqual(accepted.clients, REQUIRED);
    } finally {
      await gateway.close();
    }
  });

  test(`optional: without a certificate nobody, with one somebody, with a bad one refused (${way})`, async () => {
    const gateway = await setUp(mixed ? HOSTS : [host("optional.test", OPTIONAL)]);
    try {
      const { client, strangersClient, port, accepted } = gateway;
      const servername = "optional.test";
      assert.equal((await handshake(port, { servername })).echoed, true);
      assert.equal(
        (await handshake(port, { servername, cert: client.certificate, key: client.privateKey })).echoed,
        true,
      );
      const bad = { servername, cert: strangersClient.certificate, key: strangersClient.privateKey };
      assert.equal((await handshake(port, bad)).echoed, false);
      assert.deepEqual(
        accepted.map(({ clientIdentity }) => clientIdentity),
        [null, "CN=client"],
      );
      assert.deepEqual([...gateway.listener.handshakeFailures], [["issuer_unknown", 1]]);
    } finally {
      await gateway.close();
    }
  });
}

test("a host that asks for none is nobody's business beside those that do", async () => {
  const gateway = await setUp(HOSTS);
  try {
    const { certificate, privateKey } = gateway.strangersClient;
    const options = { servername: "open.test", cert: certificate, key: privateKey };
    assert.equal((await handshake(gateway.port, options)).echoed, true);
    assert.equal(gateway.accepted[0]?.clientIdentity, null);
  } finally {
    await gateway.close();
  }
});

test("no certificate at all is asked of the host for * on behalf of another", async () => {
  const gateway = await setUp([host("*"), host("required.test", REQUIRED)]);
  try {
    assert.equal((await handshake(gateway.port, { servername: "required.test" })).echoed, false);
    assert.equal((await handshake(gateway.port)).subject, "CN=*");
  } finally {
    await gateway.close();
  }
});

test("an intermediate CA is an anchor like any other, and an identity without a subject is its names", async () => {
  const gateway = await setUp([host("required.test", REQUIRED)]);
  try {
    const intermediate = await gateway.stranger.issueAuthority("intermediate");
    const leaf = await intermediate.issue({ commonName: "leaf", usage: "client" });
    const [certificate] = leaf.certificate.split(/(?<=-----END CERTIFICATE-----\n?)/);
    const [, anchor] = leaf.certificate.split(/(?<=-----END CERTIFICATE-----)\s*/);
    const options = { servername: "required.test", cert: certificate as string, key: leaf.privateKey };
    assert.equal((await handshake(gateway.port, options)).echoed, false);
    gateway.store.offer("clients", { trustAnchors: anchor as string }, ORIGIN);
    assert.equal((await handshake(gateway.port, options)).echoed, true);
  } finally {
    await gateway.close();
  }
});

test("a trust bundle that is replaced or withdrawn holds for the next handshake, and open connections live on", async () => {
  const gateway = await setUp(HOSTS);
  try {
    const { client, strangersClient, port, store } = gateway;
    const mine = { servername: "required.test", cert: client.certificate, key: client.privateKey };
    const theirs = {
      servername: "required.test",
      cert: strangersClient.certificate,
      key: strangersClient.privateKey,
    };
    const open = await connected(port, mine);
    const accepted = once(open, "data");
    open.write("accepted");
    await accepted;
    store.offer("clients", { trustAnchors: gateway.stranger.certificate }, ORIGIN);
    assert.equal((await handshake(port, mine)).echoed, false);
    assert.equal((await handshake(port, theirs)).echoed, true);
    store.remove("clients");
    for (const servername of ["required.test", "optional.test"])
      assert.equal((await handshake(port, { ...theirs, servername })).echoed, false, servername);
    assert.equal((await handshake(port, { servername: "open.test" })).echoed, true);
    const echo = new Promise((resolve) => open.once("data", resolve));
    open.write("still here");
    assert.equal(String(await echo), "still here");
    open.destroy();
  } finally {
    await gateway.close();
  }
});

test("a hello that comes after the host's check has changed is not held to the old one", async () => {
  const gateway = await setUp([host("a.test")]);
  try {
    const { connect } = await import("node:net");
    const early = connect(gateway.port, "127.0.0.1");
    await new Promise((resolve) => early.once("connect", resolve));
    // Once another connection was served, this one has been accepted too.
    assert.equal((await handshake(gateway.port, { servername: "a.test" })).echoed, true);
    gateway.update(virtualHost("a.test", { ...(host("a.test").tls as object), clients: REQUIRED } as never));
    const late = await handshake(0, { servername: "a.test", socket: early, port: undefined as never });
    assert.deepEqual([late.echoed, late.subject], [false, undefined]);
    assert.equal(gateway.listener.handshakeFailures.get("settings_changed"), 1);
    assert.equal(gateway.accepted.length, 1);
  } finally {
    await gateway.close();
  }
});

test("without the CA to check clients against nobody is let in, also where a certificate is optional", async () => {
  const gateway = await setUp([
    host("optional.test", OPTIONAL),
    host("required.test", REQUIRED),
    host("open.test"),
  ]);
  try {
    const { port, client } = gateway;
    const mutual = { cert: client.certificate, key: client.privateKey };
    assert.equal((await handshake(port, { servername: "optional.test" })).echoed, true);
    gateway.store.remove("clients");
    for (const servername of ["optional.test", "required.test"]) {
      for (const options of [{}, mutual])
        assert.equal((await handshake(port, { servername, ...options })).echoed, false, servername);
    }
    assert.equal((await handshake(port, { servername: "open.test" })).echoed, true);
  } finally {
    await gateway.close();
  }
});

test("an intermediate that is trusted itself vouches for clients, with or without its chain", async () => {
  for (const clients of [OPTIONAL, REQUIRED]) {
    const gateway = await setUp([host("*", clients)]);
    try {
      const middle = await gateway.ca.issueAuthority("middle");
      gateway.store.offer("clients", { trustAnchors: middle.certificate }, ORIGIN);
      const { certificate, privateKey } = await middle.issue({ commonName: "client", usage: "client" });
      const alone = certificate.replace(/(-----END CERTIFICATE-----\n)[\s\S]*/, "$1");
      // With a server name: Node does not tell OpenSSL for clients without one.
      for (const cert of [certificate, alone]) {
        for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
          const options = { servername: "some.test", cert, key: privateKey, maxVersion };
          const { echoed } = await handshake(gateway.port, options);
          assert.equal(echoed, true, `${clients.mode} ${maxVersion}`);
        }
      }
    } finally {
      await gateway.close();
    }
  }
});
