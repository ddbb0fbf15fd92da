import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import type { ConnectionOptions } from "node:tls";
import { connected, handshake, host, OPTIONAL, ORIGIN, REQUIRED, setUp } from "./listener-setup.ts";

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${maxVersion}: a session is resumed under its policy, over every rotation of the certificate`, async () => {
    const gateway = await setUp([host("a.test"), host("b.test", REQUIRED)]);
    try {
      const { port, client } = gateway;
      const mutual = { cert: client.certificate, key: client.privateKey };
      for (const options of [{ servername: "a.test" }, { servername: "b.test", ...mutual }]) {
        const first = await handshake(port, { ...options, maxVersion });
        assert.deepEqual([first.echoed, first.resumed], [true, false]);
        await gateway.issue(options.servername, "renewed");
        const second = await handshake(port, { ...options, maxVersion, session: first.session });
        assert.deepEqual([second.echoed, second.resumed], [true, true]);
        const third = await handshake(port, { ...options, maxVersion });
        assert.deepEqual([third.subject, third.resumed], ["CN=renewed", false]);
      }
      assert.deepEqual(
        gateway.accepted.map(({ clientIdentity }) => clientIdentity),
        [null, null, null, "CN=client", "CN=client", "CN=client"],
      );
    } finally {
      await gateway.close();
    }
  });

  test(`${maxVersion}: a session opens no other policy, and dies with its trust bundle`, async () => {
    const gateway = await setUp([
      host("open.test"),
      host("optional.test", OPTIONAL),
      host("required.test", REQUIRED),
    ]);
    try {
      const { port, client } = gateway;
      const mutual = { cert: client.certificate, key: client.privateKey, maxVersion };
      const open = await handshake(port, { servername: "open.test", maxVersion });
      const optional = await handshake(port, { servername: "optional.test", maxVersion });
      for (const { session } of [open, optional]) {
        const crossed = await handshake(port, { servername: "required.test", maxVersion, session });
        assert.deepEqual([crossed.echoed, crossed.resumed], [false, false]);
      }
      const proven = await handshake(port, { servername: "required.test", ...mutual });
      const again = {
        servername: "required.test",
        maxVersion,
        session: proven.session,
      } satisfies ConnectionOptions;
      assert.deepEqual([(await handshake(port, again)).echoed], [true]);
      gateway.store.offer("clients", { trustAnchors: gateway.stranger.certificate }, ORIGIN);
      const after = await handshake(port, again);
      assert.deepEqual([after.echoed, after.resumed], [false, false]);
    } finally {
      await gateway.close();
    }
  });

  // Node asks SNICallback only where no session is resumed.
  test(`${maxVersion}: a session opens no host that is gone or has no certificate any more`, async () => {
    const mutual = host("mutual.test", REQUIRED);
    const gateway = await setUp([host("a.test"), host("b.test"), mutual]);
    try {
      const { port } = gateway;
      const { session } = await handshake(port, { servername: "a.test", maxVersion });
      const again = { servername: "a.test", maxVersion, session };
      gateway.store.remove("a.test");
      assert.equal((await handshake(port, again)).echoed, false);
      gateway.update(host("b.test"), mutual);
      assert.equal((await handshake(port, again)).echoed, false);
      await gateway.issue("a.test");
      gateway.update(host("a.test"), host("b.test"), mutual);
      assert.equal((await handshake(port, again)).resumed, true);
      const { handshakeFailures } = gateway.listener;
      assert.deepEqual(Object.fromEntries(handshakeFailures), { credential_unavailable: 1, sni_unknown: 1 });
    } finally {
      await gateway.close();
    }
  });
}

test("a resumed TLS 1.2 session hides its name where all hosts agree: its policy is known all the same", async () => {
  const gateway = await setUp([host("a.test", REQUIRED), host("b.test", REQUIRED)]);
  try {
    const { port, client, accepted } = gateway;
    const mutual = { cert: client.certificate, key: client.privateKey, maxVersion: "TLSv1.2" as const };
    const { session } = await handshake(port, { servername: "a.test", ...mutual });
    const again = { servername: "a.test", ...mutual, session };
    assert.equal((await handshake(port, again)).resumed, true);
    assert.deepEqual(
      accepted.map(({ serverName, clients, clientIdentity }) => [serverName, clients, clientIdentity]),
      [
        ["a.test", REQUIRED, "CN=client"],
        [null, REQUIRED, "CN=client"],
      ],
    );
    // One host that must be refused, and names are read ahead.
    gateway.store.remove("a.test");
    assert.equal((await handshake(port, again)).echoed, false);
    assert.equal((await handshake(port, { ...again, servername: "b.test" })).echoed, true);
    assert.equal(accepted[2]?.serverName, "b.test");
  } finally {
    await gateway.close();
  }
});

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${maxVersion}: where all hosts agree, a session opens no host that is gone either`, async () => {
    const gateway = await setUp([host("a.test"), host("b.test")]);
    try {
      const { session } = await handshake(gateway.port, { servername: "a.test", maxVersion });
      gateway.update(host("b.test"));
      const again = await handshake(gateway.port, { servername: "a.test", maxVersion, session });
      // Up to TLS 1.2 Node hides the name of a resumed session; the request's Host is held against the hosts there are.
      if (maxVersion === "TLSv1.3") assert.equal(again.echoed, false);
      assert.ok(gateway.accepted.slice(1).every(({ serverName }) => serverName === null));
    } finally {
      await gateway.close();
    }
  });

  test(`${maxVersion}: a session is not resumed on a connection that came before its trust bundle was replaced`, async () => {
    const gateway = await setUp([host("a.test", REQUIRED), host("b.test", REQUIRED)]);
    try {
      const { port, client } = gateway;
      const mutual = { servername: "a.test", cert: client.certificate, key: client.privateKey, maxVersion };
      const { session, echoed } = await handshake(port, mutual);
      assert.equal(echoed, true);
      for (const change of [
        () => gateway.store.offer("clients", { trustAnchors: gateway.stranger.certificate }, ORIGIN),
        () => gateway.store.remove("a.test"),
      ]) {
        const early = connect(port, "127.0.0.1");
        await once(early, "connect");
        // Accepted after it.
        await handshake(port, { servername: "b.test", maxVersion });
        change();
        const late = await handshake(0, { ...mutual, session, socket: early, port: undefined as never });
        assert.equal(late.echoed, false);
      }
    } finally {
      await gateway.close();
    }
  });
}

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${maxVersion}: a host that asks for the clients of another CA now knows no session of the old one's`, async () => {
    const gateway = await setUp([host("a.test", REQUIRED), host("b.test")]);
    try {
      const { port, client, stranger } = gateway;
      const mutual = { servername: "a.test", cert: client.certificate, key: client.privateKey, maxVersion };
      const { session, echoed } = await handshake(port, mutual);
      assert.equal(echoed, true);
      // Another bundle of the same generation.
      gateway.store.offer("others", { trustAnchors: stranger.certificate }, ORIGIN);
      gateway.update(host("a.test", { mode: "required", trust: "others" }), host("b.test"));
      assert.equal((await handshake(port, { ...mutual, session })).echoed, false);
    } finally {
      await gateway.close();
    }
  });
}

test("a client certificate that ended since is not resumed with", async () => {
  const gateway = await setUp([host("a.test", REQUIRED)]);
  try {
    const notAfter = Math.ceil(Date.now() / 1000) * 1000 + 4000;
    const brief = await gateway.ca.issue({
      commonName: "brief",
      usage: "client",
      notAfter: new Date(notAfter),
    });
    const options = { servername: "a.test", cert: brief.certificate, key: brief.privateKey };
    const first = await handshake(gateway.port, options);
    assert.equal(first.echoed, true);
    await new Promise((resolve) => setTimeout(resolve, notAfter + 1100 - Date.now()));
    assert.equal((await handshake(gateway.port, { ...options, session: first.session })).echoed, false);
    assert.equal(gateway.listener.handshakeFailures.get("certificate_expired"), 1);
  } finally {
    await gateway.close();
  }
});

test("X25519MLKEM768 is agreed on by default; the classical groups remain", async () => {
  const gateway = await setUp([host("a.test"), host("b.test", REQUIRED)]);
  try {
    const socket = await connected(gateway.port, { servername: "a.test" });
    const { name } = socket.getEphemeralKeyInfo() as { name?: string };
    assert.equal(name, "X25519MLKEM768");
    socket.destroy();
    for (const ecdhCurve of ["X25519MLKEM768", "X25519", "P-256", "P-384"])
      assert.equal(
        (await handshake(gateway.port, { servername: "a.test", ecdhCurve })).echoed,
        true,
        ecdhCurve,
      );
  } finally {
    await gateway.close();
  }
});
