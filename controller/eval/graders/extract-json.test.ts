import { expect, test } from "vitest";
import { extractJson } from "./extract-json.ts";

test.each([
  ['a {"x": {"y": [1]}} b [2] c', [{ x: { y: [1] } }, [2]]],
  ['{"text": "a } b \\" {"}', [{ text: 'a } b " {' }]],
  ["set {a, b} then [1]", [[1]]],
  ["{ [1]", [[1]]],
  ["no JSON, 5, true", []],
])("%j holds %j", (text, values) => expect(extractJson(text)).toEqual(values));

test("an answer made of brackets ends soon", () => {
  const started = performance.now();
  expect(extractJson("[".repeat(200_000))).toEqual([]);
  expect(performance.now() - started).toBeLessThan(3_000);
});
