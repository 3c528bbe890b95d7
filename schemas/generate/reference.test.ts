import { describe, expect, it } from "vitest";
import { z } from "zod";
import { anyJson, mapKeys, withRules } from "../common.ts";
import type { KindDefinition } from "../kind.ts";
import { bounds, referenceIndex, referencePage, typeName } from "./reference.ts";

const widget: KindDefinition = {
  kind: "TestWidget",
  plural: "testwidgets",
  singular: "testwidget",
  shortNames: ["tw"],
  description: "A widget.",
  spec: withRules(
    z.strictObject({
      mode: z.enum(["a", "b"]).default("a").describe("One | the other."),
      parts: z
        .array(
          z.strictObject({
            name: z
              .string()
              .max(3)
              .regex(/^(a|b)$/),
          }),
        )
        .max(2)
        .meta(mapKeys("name")),
    }),
    { rule: "self.mode == 'a' || self.mode == 'b'", message: "mode must be a or b" },
  ),
  status: z.strictObject({ phase: z.string().max(9).optional() }),
  columns: [{ name: "Mode", type: "string", jsonPath: ".spec.mode", priority: 1 }],
};

describe("referencePage", () => {
  const page = referencePage(widget);

  it.each([
    '| `spec.mode` | string | `"a"` | one of `a`, `b` | One \\| the other. |',
    "| `spec.parts` | list of object | required | at most 2 entries; `name` unique |  |",
    "| `spec.parts[].name` | string | required | at most 3 characters; matches `^(a\\|b)$` |  |",
    "| `spec` | mode must be a or b | `self.mode == 'a' \\|\\| self.mode == 'b'` |",
    "| `status.phase` | string |  | at most 9 characters |  |",
    "| MODE | `.spec.mode` | with `-o wide` |",
  ])("has the row %s", (row) => {
    expect(page.split("\n")).toContain(row);
  });

  it("does not repeat the entries of a list as a row of their own", () => {
    expect(page).not.toContain("| `spec.parts[]` |");
  });
});

it("tells types and bounds in words", () => {
  expect(typeName({ type: "array", items: { type: "string" } })).toBe("list of string");
  expect(typeName({ type: "object", additionalProperties: {} })).toBe("map of any");
  expect(bounds({ type: "number", minimum: 0, exclusiveMinimum: true, maximum: 1 })).toEqual([
    "more than 0",
    "at most 1",
  ]);
  expect(bounds({ type: "integer", minimum: -1 })).toEqual(["at least -1"]);
  expect(bounds({ type: "string", minLength: 4, maxLength: 4 })).toEqual(["exactly 4 characters"]);
  expect(bounds({ type: "array", maxItems: 2, items: { type: "string", maxLength: 3 } })).toEqual([
    "at most 2 entries",
    "each at most 3 characters",
  ]);
});

it("lists the kinds with links", () => {
  expect(referenceIndex([widget])).toContain("| [TestWidget](test-widget.md) | `tw` | A widget. |");
});

it("tells free-form values apart", () => {
  expect(referencePage({ ...widget, spec: z.strictObject({ free: anyJson.optional() }) })).toContain(
    "| `spec.free` | any |  |  |  |",
  );
});
