import { afterEach, expect, test, vi } from "vitest";
import { possible } from "../possible.ts";

afterEach(() => vi.unstubAllEnvs());

test.each(["", "0"])("what is missing has tests skipped, where nobody asks for more: %j", (value) => {
  vi.stubEnv("SLIPWAY_REQUIRE_NODE", value);
  expect(possible("a local node", [])).toBe(true);
  expect(possible("a local node", ["root"])).toBe(false);
});

test("where it has to be there, what is missing is named", () => {
  vi.stubEnv("SLIPWAY_REQUIRE_NODE", "1");
  expect(possible("a local node", [])).toBe(true);
  expect(() => possible("a local node", ["Linux", "root"])).toThrow(/a local node.*missing: Linux, root$/);
});
