import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopFilter } from "./stops.ts";

function run(stops: string[], pieces: string[]): string {
  const filter = new StopFilter(stops);
  return pieces.map((piece) => filter.push(piece)).join("") + filter.end();
}

describe("StopFilter", () => {
  it("cuts at a stop text that is spread over pieces", () => {
    expect(run(["\n\n"], ["one\n", "\ntwo"])).toBe("one");
  });

  it("shows what only looked like a stop text", () => {
    expect(run(["END"], ["the E", "N", "tire"])).toBe("the ENtire");
    expect(run(["END"], ["the EN"])).toBe("the EN");
  });

  it("shows nothing of a stop text before it is known", () => {
    const filter = new StopFilter(["abc"]);
    expect(filter.push("xab")).toBe("x");
    expect(filter.stopped).toBe(false);
    expect(filter.push("c")).toBe("");
    expect(filter.stopped).toBe(true);
    expect(filter.push("more")).toBe("");
  });

  it("equals cutting the whole text, however it is split", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(stops, fc.array(letters, { maxLength: 6 }), (some, pieces) => {
        const shown = run(some, pieces);
        const all = pieces.join("");
        expect(all.startsWith(shown)).toBe(true);
        expect(some.some((stop) => shown.includes(stop))).toBe(false);
        if (shown.length < all.length)
          expect(some.some((stop) => all.slice(shown.length).startsWith(stop))).toBe(true);
      }),
    );
  });
});
