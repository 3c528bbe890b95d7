import { describe, expect, it } from "vitest";
import { z } from "zod";
import { anyJson, mapKeys, withRules } from "../common.ts";
import { structuralSchema } from "./structural.ts";

const text = z.string().max(8);

/** Wraps a schema in the field `spec.list[].field`, so that messages must name the whole path. */
function nested(field: z.ZodType): z.ZodType {
  return z.strictObject({ list: z.array(z.strictObject({ field })).max(4) });
}

describe("structuralSchema", () => {
  it("keeps types, bounds, defaults, descriptions and Kubernetes keys", () => {
    const schema = withRules(
      z.strictObject({
        name: text
          .min(1)
          .regex(/^a\/b$/)
          .describe("A name."),
        mode: z.enum(["On", "Off"]).default("On"),
        only: z.literal("x").optional(),
        count: z.int().min(0).optional(),
        ratio: z.number().gt(0).max(1).optional(),
        at: z.string().meta({ format: "date-time" }).optional(),
        free: anyJson.optional().describe("Anything."),
        map: z.record(text, z.int().max(3)).optional().meta({ maxProperties: 2 }),
        items: z
          .array(z.strictObject({ key: text }))
          .min(1)
          .max(3)
          .meta(mapKeys("key")),
      }),
      { rule: "self.name != 'a'", message: "name must not be a", check: (self) => self.name !== "a" },
    );

    expect(structuralSchema(schema, "spec")).toEqual({
      type: "object",
      required: ["name", "items"],
      properties: {
        name: { type: "string", minLength: 1, maxLength: 8, pattern: "^a/b$", description: "A name." },
        mode: { type: "string", enum: ["On", "Off"], default: "On" },
        only: { type: "string", enum: ["x"] },
        count: { type: "integer", minimum: 0 },
        ratio: { type: "number", minimum: 0, exclusiveMinimum: true, maximum: 1 },
        at: { type: "string", format: "date-time" },
        free: { description: "Anything.", "x-kubernetes-preserve-unknown-fields": true },
        map: { type: "object", maxProperties: 2, additionalProperties: { type: "integer", maximum: 3 } },
        items: {
          type: "array",
          minItems: 1,
          maxItems: 3,
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["key"],
          items: {
            type: "object",
            required: ["key"],
            properties: { key: { type: "string", maxLength: 8 } },
          },
        },
      },
      "x-kubernetes-validations": [{ rule: "self.name != 'a'", message: "name must not be a" }],
    });
  });

  const traps: [what: string, field: z.ZodType, problem: RegExp][] = [
    ["a union of types", z.union([z.string().max(1), z.int()]), /union/],
    ["a union of bare types", z.union([z.string(), z.boolean()]), /union of types/],
    ["nullable", text.nullable(), /nullable/],
    [
      "a discriminated union",
      z.discriminatedUnion("t", [z.strictObject({ t: z.literal("a") })]),
      /discriminated/,
    ],
    ["an intersection", z.intersection(text, z.string().min(1)), /allOf/],
    ["a tuple", z.tuple([text]), /tuple/],
    ["two patterns", text.regex(/a/).regex(/b/), /several patterns/],
    ["null", z.null(), /type null/],
    ["literals of several types", z.literal(["a", 1]), /needs a type/],
    ["an unbounded string", z.string(), /text needs a bound/],
    ["a format that bounds nothing", z.string().meta({ format: "uri" }), /text needs a bound/],
    ["an unbounded list", z.array(text), /list needs a bound/],
    ["an unbounded map", z.record(text, text), /map needs a bound/],
    ["unbounded keys", z.record(z.string(), text).meta({ maxProperties: 1 }), /keys need a bound/],
    ["keys with a pattern", z.record(text.regex(/^a/), text).meta({ maxProperties: 1 }), /pattern.*keys/],
    ["an object that allows unknown fields", z.object({ a: text }), /strictObject/],
    ["a loose object", z.looseObject({ a: text }), /strictObject/],
    ["an unknown format", text.meta({ format: "semver" }), /format semver/],
    ["unique items", z.array(text).max(1).meta({ uniqueItems: true }), /uniqueItems.*list-type/],
    ["a keyword of another type", z.int().meta({ maxLength: 3 }), /maxLength: not known.*integer/],
    ["an unknown Kubernetes key", text.meta({ "x-kubernetes-typo": true }), /x-kubernetes-typo/],
    [
      "a rule of two lines",
      z.boolean().meta({ "x-kubernetes-validations": [{ rule: "self", message: "a\nb" }] }),
      /one line/,
    ],
    [
      "a rule without message",
      z.boolean().meta({ "x-kubernetes-validations": [{ rule: "self" }] }),
      /rule and message/,
    ],
    [
      "a key that is no field",
      z
        .array(z.strictObject({ a: text }))
        .max(1)
        .meta(mapKeys("b")),
      /key b is not a field/,
    ],
    [
      "a key that may be absent",
      z
        .array(z.strictObject({ a: text.optional() }))
        .max(1)
        .meta(mapKeys("a")),
      /key a must be required/,
    ],
    [
      "a key that is no scalar",
      z
        .array(z.strictObject({ a: z.strictObject({}) }))
        .max(1)
        .meta(mapKeys("a")),
      /key a must be a scalar/,
    ],
    [
      "a list map without keys",
      z.array(text).max(1).meta({ "x-kubernetes-list-type": "map" }),
      /belong together/,
    ],
    ["lookahead", text.regex(/^(?!a)/), /not RE2/],
    ["lookbehind", text.regex(/(?<!a)b/), /not RE2/],
    ["a back reference", text.regex(/(a)\1/), /not RE2/],
    ["too many repeats", text.regex(/a{1001}/), /not RE2/],
    ["an escape that ajv refuses", text.regex(/a{/), /flag u/],
    ["a space class", text.regex(/^\S+$/), /Unicode space/],
    ["a pattern with flags", text.regex(/a/i), /flags "i"/],
    ["both bounds at one end", z.number().min(1).meta({ exclusiveMinimum: 0 }), /keep the stricter/],
    [
      "a refinement without a rule",
      text.refine((value) => value !== "a", { message: "no a" }),
      /refine.*no a/,
    ],
    ["trim", text.trim(), /trim/],
    ["a transform", text.transform(Number).pipe(z.number()), /transform/],
    ["coercion", z.coerce.number(), /coerce/],
    ["catch", text.catch("x"), /catch/],
  ];
  it.each(traps)("refuses %s and names the field", (_what, field, problem) => {
    const attempt = () => structuralSchema(nested(field), "spec");
    expect(attempt).toThrow(expect.objectContaining({ code: "NotStructural" }));
    expect(attempt).toThrow(/^spec\.list\[\]\.field/);
    expect(attempt).toThrow(problem);
  });

  it("refuses a schema that contains itself", () => {
    const node = z.strictObject({
      get children() {
        return z.array(node).max(2);
      },
    });
    expect(() => structuralSchema(node, "spec")).toThrow(/[Cc]ycle/);
  });

  it("accepts an escaped backslash before an s", () => {
    expect(structuralSchema(text.regex(/^\\s$/), "spec").pattern).toBe("^\\\\s$");
  });
});
