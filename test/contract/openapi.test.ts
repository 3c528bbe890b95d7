import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fill } from "./fill.ts";
import { OpenApi } from "./openapi.ts";

const api = new OpenApi(
  JSON.parse(readFileSync(join(import.meta.dirname, "testdata/github-openapi.json"), "utf8")),
);

function problems(method: string, url: string, body?: unknown): readonly string[] | undefined {
  const { pathname: path, searchParams: query } = new URL(url, "http://localhost");
  return api.match({ method, path, query, body })?.problems;
}

/** Controls: what the contract check must catch, or the adapter's tests prove nothing. */
describe("the contract check", () => {
  const comment = "/repos/team/app/issues/7/comments";

  it("takes a right request", () => {
    expect(problems("POST", comment, { body: "text" })).toEqual([]);
    expect(problems("GET", `${comment}?per_page=100&page=2`)).toEqual([]);
    expect(problems("PUT", "/repos/team/app/pulls/7/merge", { sha: "abc", merge_method: "squash" })).toEqual(
      [],
    );
  });

  it.each([
    ["an unknown field", "POST", comment, { body: "text", boddy: "text" }, "additional properties (boddy)"],
    ["a wrong type", "POST", comment, { body: 7 }, "/body must be string"],
    ["a missing field", "POST", comment, {}, "'body'"],
    ["a missing body", "POST", comment, undefined, "needs a body"],
    ["a body where none is", "GET", comment, { body: "x" }, "takes no body"],
    ["a word that is none of the allowed", "POST", "/repos/team/app/statuses/abc", { state: "ok" }, "/state"],
    ["an unknown query parameter", "GET", `${comment}?limit=5`, undefined, "limit"],
    ["a query parameter's type", "GET", `${comment}?per_page=all`, undefined, "per_page must be integer"],
    ["a path parameter's type", "GET", "/repos/team/app/pulls/seven", undefined, "pull_number"],
  ])("finds %s", (_what, method, url, body, expected) => {
    expect(problems(method, url, body)?.join("\n")).toContain(expected);
  });

  it("does not know another method or path", () => {
    expect(problems("DELETE", "/repos/team/app/pulls/7")).toBeUndefined();
    expect(problems("GET", "/repos/team/app/pull/7")).toBeUndefined();
  });

  it("finds what an answer lacks", () => {
    const operation = api.match({
      method: "GET",
      path: "/repos/team/app/pulls/7",
      query: new URLSearchParams(),
      body: undefined,
    });
    const right = fill(api, operation?.answerSchema(200), { number: 7 }) as Record<string, unknown>;
    expect(operation?.checkAnswer(200, right)).toEqual([]);
    expect(operation?.checkAnswer(200, { ...right, number: "7" })).toEqual(["answer/number must be integer"]);
    const { head: _head, ...headless } = right;
    expect(operation?.checkAnswer(200, headless).join()).toContain("'head'");
    expect(operation?.checkAnswer(201, right)).toEqual(["pulls/get does not answer 201"]);
    expect(() => fill(api, operation?.answerSchema(200), { numbr: 7 })).toThrow("no field numbr");
  });
});
