import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blobDigest, canonicalJson, digestOf, sha256 } from "./canonical.ts";

describe("canonicalJson", () => {
  it.each([
    [{ b: 1, a: 2 }, '{"a":2,"b":1}'],
    [{ a: undefined, b: null }, '{"b":null}'],
    [[1, undefined, 3], "[1,null,3]"],
    [{ a: { d: [], c: {} } }, '{"a":{"c":{},"d":[]}}'],
    [-0, "0"],
    [[-0, 1.0, 1e21, 1e-7, 0.1 + 0.2], "[0,1,1e+21,1e-7,0.30000000000000004]"],
    ['\u2028 é \u{1f600} \n "', '"\u2028 é \u{1f600} \\n \\""'],
    ["\ud800", '"\\ud800"'],
    [{ 10: "b", 9: "a" }, '{"10":"b","9":"a"}'],
    [true, "true"],
  ])("%j is %s", (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it("sorts members by UTF-16 units, as RFC 8785 does, not by code points", () => {
    // U+1F600 is D83D DE00, before U+FB33; by code point it would come after.
    expect(canonicalJson({ "\ufb33": 1, "\u{1f600}": 2, "\r": 3, "1": 4, "€": 5 })).toBe(
      '{"\\r":3,"1":4,"€":5,"\u{1f600}":2,"\ufb33":1}',
    );
  });

  it("keeps a member named __proto__", () => {
    expect(canonicalJson(JSON.parse('{"__proto__":1,"a":2}'))).toBe('{"__proto__":1,"a":2}');
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1n], [() => 1], [Symbol("x")]])(
    "refuses %s, which JSON has not",
    (value) => {
      expect(() => canonicalJson(value)).toThrow(TypeError);
      expect(() => canonicalJson({ a: [value] })).toThrow(TypeError);
    },
  );

  it("says what JSON.parse reads back, whatever the order of the members was", () => {
    const shuffled = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(shuffled)
        : value !== null && typeof value === "object"
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, member]) => [key, shuffled(member)]),
            )
          : value;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffled(value))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});

describe("digests", () => {
  it("are SHA-256 of UTF-8", () => {
    expect(sha256("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(sha256(new TextEncoder().encode("é"))).toBe(sha256("é"));
    expect(blobDigest("")).toBe("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  it("are equal for equal values and differ otherwise", () => {
    expect(digestOf({ a: 1, b: undefined })).toBe(digestOf({ a: 1 }));
    expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: "1" }));
    expect(digestOf([])).not.toBe(digestOf({}));
  });
});
