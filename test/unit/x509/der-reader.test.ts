import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { rootCertificates } from "node:tls";
import { weakKey } from "../../../src/x509/algorithms.ts";
import {
  type DerValue,
  integerHex,
  MalformedDer,
  namedBitsOf,
  oidOf,
  readAll,
  readOne,
  smallIntegerOf,
  timeOf,
} from "../../../src/x509/der-reader.ts";
import { parsed } from "../../../src/x509/parsed-certificate.ts";
import { der, integer, oid, sequence, time } from "../../support/der.ts";

const value = (hex: string): DerValue => readOne(Buffer.from(hex, "hex"));

test("one encoding of a value is read, and no other", () => {
  assert.equal(value("300302010a").content.toString("hex"), "02010a");
  assert.equal(value(`04818${"0"}${"00".repeat(128)}`).content.length, 128);
  for (const hex of [
    "", // nothing
    "30", // no length
    "3003020100ff", // more after it
    "3004020100", // less than it says
    "3080020100000000", // indefinite
    "308103020100", // a length that fits in one octet
    `04820${"0"}80${"00".repeat(128)}`, // one of three octets that needs two
    "30850000000003020100", // a length of five octets
    "1f810100", // a tag above 30
  ])
    assert.throws(() => value(hex), MalformedDer, hex);
  assert.throws(() => readAll(Buffer.from("0201000101ff", "hex"), 0x02), MalformedDer);
});

test("integers, object identifiers, bits and times are read as they were written", () => {
  for (const number of [0, 1, 127, 128, 255, 256, 65_535, 2 ** 31 - 1])
    assert.equal(smallIntegerOf(readOne(integer(number))), number);
  assert.equal(integerHex(value("020200ff")), "00ff");
  for (const id of ["2.5.29.19", "1.2.840.113549.1.1.11", "2.16.840.1.101.3.4.3.31", "0.9.2342", "2.999.1"])
    assert.equal(oidOf(readOne(id === "2.999.1" ? Buffer.from("0603883701", "hex") : oid(id))), id);
  assert.equal(namedBitsOf(value("03020106")), 0b1100000);
  assert.equal(namedBitsOf(value("0303070080")), 1 << 8);
  for (const date of [
    "1950-01-01T00:00:00Z",
    "1999-12-31T23:59:59Z",
    "2049-12-31T23:59:59Z",
    "2050-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
  ])
    assert.equal(timeOf(readOne(time(new Date(date)))), Date.parse(date), date);
});

test("integers, object identifiers, bits and times that are none are refused", () => {
  const no = (read: (value: DerValue) => unknown, hex: string): void =>
    assert.throws(() => read(value(hex)), MalformedDer, hex);
  for (const hex of ["0200", "02020001", "0202ff80"]) no(integerHex, hex);
  for (const hex of ["0201ff", "02050080000000"]) no(smallIntegerOf, hex);
  for (const hex of ["0600", "060180", "06028001", "060a2affffffffffffffff7f"]) no(oidOf, hex);
  for (const hex of ["0300", "030108", "030101"]) no(namedBitsOf, hex);
  for (const text of [
    "2601010000Z",
    "260101000000",
    "260101000000+0100",
    "261301000000Z",
    "260230000000Z",
    "260101240000Z",
    "26010100006\x00Z",
  ])
    assert.throws(() => timeOf(readOne(der(0x17, Buffer.from(text, "latin1")))), MalformedDer, text);
  assert.throws(() => timeOf(readOne(sequence())), MalformedDer);
});

test("the public CAs are read, are CAs, and none is too weak or says what is not understood", () => {
  assert.ok(rootCertificates.length > 100);
  for (const pem of rootCertificates) {
    const certificate = new X509Certificate(pem);
    const whole = parsed(certificate);
    assert.ok(typeof whole !== "string", `${certificate.subject}: ${whole}`);
    assert.equal(weakKey(whole), null, certificate.subject);
    assert.deepEqual(whole.unknownCritical, [], certificate.subject);
    assert.equal(whole.basicConstraints?.ca, true, certificate.subject);
    assert.equal(whole.notAfter, certificate.validToDate.getTime(), certificate.subject);
    assert.equal(whole.notBefore, certificate.validFromDate.getTime(), certificate.subject);
    assert.equal(BigInt(`0x${whole.serial}`), BigInt(`0x${certificate.serialNumber}`), certificate.subject);
  }
});
