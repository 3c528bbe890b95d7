import { expect, it } from "vitest";
import { doubledWrites } from "./forge-writes.ts";
import type { Written } from "./proxy.ts";

const comment = (verb: "create" | "update", text: string): Written => ({
  site: `forge ${verb} comment`,
  method: "POST",
  path: verb === "create" ? "/issues/1/comments" : "/issues/comments/9",
  body: JSON.stringify({ body: text }),
  status: 201,
  answer: JSON.stringify({ id: 9, issue_url: "http://forge/o/n/issues/1" }),
});
const status = (sha: string, state: string, code = 201): Written => ({
  site: "forge set status",
  method: "POST",
  path: `/statuses/${sha}`,
  body: JSON.stringify({ state, context: "evals", description: "d" }),
  status: code,
  answer: "{}",
});

it("finds a comment and a status that were written twice", () => {
  expect(doubledWrites([comment("create", "a"), comment("update", "a")])).toHaveLength(1);
  expect(doubledWrites([comment("create", "a"), comment("create", "a")])).toHaveLength(1);
  expect(
    doubledWrites([status("s", "pending"), comment("create", "a"), status("s", "pending")]),
  ).toHaveLength(1);
});

it("lets through what says something new, another thing, or was refused", () => {
  expect(doubledWrites([comment("create", "a"), comment("update", "b"), comment("update", "a")])).toEqual([]);
  expect(doubledWrites([status("s", "pending"), status("s", "success"), status("t", "success")])).toEqual([]);
  expect(doubledWrites([status("s", "pending", 503), status("s", "pending")])).toEqual([]);
});
