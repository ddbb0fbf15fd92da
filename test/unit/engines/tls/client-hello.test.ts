import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../support/fast-check.ts";
import { MAX_HELLO_BYTES, peekClientHello } from "../../../../src/engines/node/tls/client-hello.ts";
import { helloBytes, inRecordsOf } from "./hello-bytes.ts";

const NAMED = await helloBytes({ servername: "Shop.Example", ALPNProtocols: ["http/1.1"] });
const LARGE = await helloBytes({ servername: "shop.example", ecdhCurve: "X25519MLKEM768" });
const UNNAMED = await helloBytes({});

test("the server name is read in lower case; a hello without one says so", () => {
  assert.deepEqual(peekClientHello(NAMED), { kind: "hello", serverName: "shop.example" });
  assert.deepEqual(peekClientHello(UNNAMED), { kind: "hello", serverName: null });
});

test("every cut of a hello asks for more, and a hello of many records is read", () => {
  assert.ok(LARGE.length > 1200, "post-quantum key shares do not fit one segment");
  for (const hello of [NAMED, LARGE, inRecordsOf(1, LARGE), inRecordsOf(700, LARGE)]) {
    for (let length = 0; length < hello.length; length++)
      assert.equal(peekClientHello(hello.subarray(0, length)).kind, "more", `${length} of ${hello.length}`);
    assert.deepEqual(peekClientHello(hello), { kind: "hello", serverName: "shop.example" });
  }
});

test("bytes after the hello do not matter", () => {
  const followed = Buffer.concat([NAMED, Buffer.from([20, 3, 3, 0, 1, 1])]);
  assert.equal(peekClientHello(followed).kind, "hello");
});

test("plain text, other records and nonsense are told from a hello", () => {
  assert.equal(peekClientHello(Buffer.from("GET / HTTP/1.1\r\n")).kind, "not-tls");
  assert.equal(peekClientHello(Buffer.from([22, 9])).kind, "not-tls");
  assert.equal(peekClientHello(Buffer.from([22, 3, 1, 0, 0])).kind, "malformed");
  assert.equal(peekClientHello(Buffer.from([22, 3, 1, 0x50, 0])).kind, "malformed");
  // A ServerHello, and a hello that claims more than is collected.
  assert.equal(peekClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])).kind, "malformed");
  assert.equal(peekClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0, 0])).kind, "malformed");
});

test("a name is a name: no empty, doubled, overlong or binary one", () => {
  for (const name of ["", "a..b", ".a", "a b", "a\0b", "é", "a".repeat(256)])
    assert.equal(peekClientHello(helloWith(serverName(name))).kind, "malformed", JSON.stringify(name));
  assert.deepEqual(peekClientHello(helloWith(serverName("A.example."))), {
    kind: "hello",
    serverName: "a.example",
  });
  const twice = Buffer.concat([serverName("a.example"), serverName("b.example")]);
  assert.equal(peekClientHello(helloWith(twice)).kind, "malformed");
});

test("no bytes make the parser throw", () => {
  const kinds = new Set(["more", "not-tls", "malformed", "hello"]);
  const check = (bytes: Buffer): void => assert.ok(kinds.has(peekClientHello(bytes).kind));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => check(Buffer.from(bytes))));
  const record = (body: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([22, 3, 1, body.length >> 8, body.length & 255]), body]);
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), (body) => check(record(body))));
  // Damage to a real one goes deepest.
  const damage = fc.array(fc.tuple(fc.nat(NAMED.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(damage, fc.nat(NAMED.length), (changes, length) => {
      const bytes = Buffer.from(NAMED);
      for (const [at, value] of changes) bytes[at] = value;
      check(bytes);
      check(bytes.subarray(0, length));
    }),
    { numRuns: 2000 },
  );
  assert.equal(peekClientHello(Buffer.alloc(MAX_HELLO_BYTES, 22)).kind, "not-tls");
});

function serverName(name: string): Buffer {
  const text = Buffer.from(name, "latin1");
  const entry = Buffer.concat([Buffer.from([0]), uint16(text.length), text]);
  const list = Buffer.concat([uint16(entry.length), entry]);
  return Buffer.concat([uint16(0), uint16(list.length), list]);
}

/** The least of a hello around the extensions. */
function helloWith(extensions: Buffer): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0x13, 1, 1, 0]),
    uint16(extensions.length),
    extensions,
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), uint16(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), uint16(message.length), message]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}
