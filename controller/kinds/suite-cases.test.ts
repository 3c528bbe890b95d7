import { expect, test } from "vitest";
import { readCases } from "./suite-cases.ts";

const files = (path: string, digest?: string) => ({ files: [{ path, ...(digest ? { digest } : {}) }] });
const texts: Readonly<Record<string, string>> = {
  good: '{"id":"a","vars":{"q":"1"}}\n',
  bad: '{"id":"a","vars":{}}\nnot json\n',
};
const blobs = { get: async (digest: string) => new TextEncoder().encode(texts[digest]!) };

test("cases come from the spec and from files", async () => {
  const cases = await readCases({ inline: [{ id: "b", vars: {} }], ...files("c.jsonl", "good") }, blobs);
  expect(cases.map(({ id }) => id)).toEqual(["b", "a"]);
});

test.each([
  ["a line that is no case", files("c.jsonl", "bad"), "InvalidCases", /^c\.jsonl:2:1: /, false],
  ["a file without a digest", files("c.jsonl"), "Unresolved", /^case file c\.jsonl has no digest/, true],
])("%s is named with its place", async (_, section, code, message, retryable) => {
  const refusal = { code, message: expect.stringMatching(message), retryable };
  await expect(readCases(section, blobs)).rejects.toMatchObject(refusal);
});
