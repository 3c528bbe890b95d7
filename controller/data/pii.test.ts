import { expect, test } from "vitest";
import { PII_KINDS, type PiiKind } from "../../schemas/dataset-steps.ts";
import { findPii, redact } from "./pii.ts";

const found = (text: string, kinds: readonly PiiKind[] = PII_KINDS) =>
  findPii(text, kinds).map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`);

test.each([
  ["Ask mia.o'brien@mail.example.co.uk.", "email brien@mail.example.co.uk"],
  ["IBAN DE89 3704 0044 0532 0130 00, please", "iban DE89 3704 0044 0532 0130 00"],
  ["Card 4111-1111-1111-1111 expired", "card 4111-1111-1111-1111"],
  ["from 192.168.10.7:22", "ip 192.168.10.7"],
  ["call +49 30 901820 today", "phone +49 30 901820"],
  ["call +14155552671.", "phone +14155552671"],
  ["call 030 90182055", "phone 030 90182055"],
  ["call (030) 90 18 20 55", "phone (030) 90 18 20 55"],
  [`use sk-${"a1".repeat(12)} for it`, `key sk-${"a1".repeat(12)}`],
  ["ping 2001:db8::1.", "ip 2001:db8::1"],
  ["at http://[2001:DB8:0:12::a]:80/", "ip 2001:DB8:0:12::a"],
  ["2a00:1450:4001:082b:0000:0000:0000:200e", "ip 2a00:1450:4001:082b:0000:0000:0000:200e"],
  ["2001:db8:1::/48", "ip 2001:db8:1::"],
  ["fe80::aede:48ff:fe00:1122%en0", "ip fe80::aede:48ff:fe00:1122"],
  ["fd12:3456:789a::1: refused", "ip fd12:3456:789a::1"],
  ["ff02::1", "ip ff02::1"],
  // The part that an address of the older kind is written in.
  ["::ffff:192.0.2.1", "ip 192.0.2.1"],
])("%s", (text, expected) => {
  expect(found(text)).toEqual([expected]);
});

test.each([
  "IBAN DE88 3704 0044 0532 0130 00 has another checksum",
  "order 4111-1111-1111-1112 fails Luhn's check",
  "version 999.1.2.3, loopback 127.0.0.1",
  "on 2024-05-01 at 12:30, 1000 2000 pieces",
  "article 0012345678, batch 12345678901234",
  "write to nobody@localhost",
  "at 12:30:45, at 2024:10:11, from 3000:3000 to 20:30",
  "MAC fe:80:48:ff:fe:00, EUI-64 26:00:48:ff:fe:00:11:22, fe80:48ff:fe00:1122",
  "fingerprint 2a:00:14:50:40:01:08:2b:00:00:00:00:00:00:20:0e",
  "std::vector, a::b, face::cafe, dead:beef::, 1::2::Nil, x[2000::2], ::1, ::",
  "2001:db8::1::2, 2001:db8:1:2:3:4:5:6:7, 2001:db8::12345, 2001:db8::g1, x2001:db8::1",
  "sha256:2abc:2001:db8::1",
])("%s: nothing", (text) => {
  expect(found(text)).toEqual([]);
});

test("findings come in the order of the text, each part of it once, and only of the kinds that are asked for", () => {
  const text = "4111 1111 1111 1111, mia@example.com, 10.0.0.1";
  expect(found(text).map((each) => each.split(" ")[0])).toEqual(["card", "email", "ip"]);
  expect(found(text, ["ip", "email"])).toEqual(["email mia@example.com", "ip 10.0.0.1"]);
  // A key stays a key, although parts of it look like a telephone number.
  const key = `ghp_${"0301234567".repeat(3)}abcdef`;
  expect(found(`+49 30 901820 ${key} 10.0.0.1`)).toEqual([
    "phone +49 30 901820",
    `key ${key}`,
    "ip 10.0.0.1",
  ]);
  expect(redact(text, findPii(text, PII_KINDS))).toBe("[CARD], [EMAIL], [IP]");
});

test("a long row of nothing else comes to an end", () => {
  const text = "10.0.0.1 a@b.de ".repeat(200_000);
  expect(findPii(text, PII_KINDS)).toHaveLength(400_000);
});
