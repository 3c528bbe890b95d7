import { expect, test } from "vitest";
import { objectName } from "../../schemas/common.ts";
import { digestOf } from "../graph/canonical.ts";
import { evalRunName } from "./run-name.ts";

test.each([
  ["", "triage"],
  ["pr7-", "triage"],
  ["pr1234567890-", "s".repeat(63)],
  ["pr7-", `${"s".repeat(25)}.more`],
])("%s%s gives a valid name with 32 digits of the digest", (prefix, suite) => {
  const digest = digestOf([suite]);
  const name = evalRunName(prefix, suite, digest);
  expect(objectName.parse(name)).toBe(name);
  expect(name.startsWith(prefix + suite.slice(0, 6))).toBe(true);
  expect(name.endsWith(`-${digest.slice(0, 32)}`)).toBe(true);
});
