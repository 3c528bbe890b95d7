import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { anyJson, mapKeys, objectName } from "../common.ts";
import { KINDS } from "../index.ts";
import type { KindDefinition } from "../kind.ts";
import { anyManifestSchema, fileStem, manifestSchema } from "./json-schema.ts";

const widget: KindDefinition = {
  kind: "TestWidget",
  plural: "testwidgets",
  singular: "testwidget",
  shortNames: ["tw"],
  description: "A widget.",
  spec: z.strictObject({
    parts: z
      .array(z.strictObject({ name: objectName, count: z.int().optional() }))
      .max(2)
      .meta(mapKeys("name")),
    // A field whose name is a keyword must not be taken for one.
    items: anyJson.optional(),
  }),
  status: z.strictObject({}),
  columns: [],
};

function compile(schema: object) {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  (addFormats as unknown as (target: Ajv2020) => void)(ajv);
  return ajv.compile(schema);
}

function manifest(spec: unknown, extra: object = {}) {
  return { apiVersion: "slipway.dev/v1alpha1", kind: "TestWidget", metadata: { name: "a" }, spec, ...extra };
}

describe("manifestSchema", () => {
  it("is clean JSON Schema, without Kubernetes keys and zod's integer bounds", () => {
    const schema = manifestSchema(widget);
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "https://slipway.dev/schemas/v1alpha1/test-widget.json",
      title: "TestWidget",
      description: "A widget.",
    });
    expect((schema.properties as Record<string, unknown>).spec).toEqual({
      type: "object",
      properties: {
        parts: {
          type: "array",
          maxItems: 2,
          items: {
            type: "object",
            properties: {
              name: {
                type: "string",
                minLength: 1,
                maxLength: 63,
                pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
              },
              count: { type: "integer" },
            },
            required: ["name"],
            additionalProperties: false,
          },
        },
        items: {},
      },
      required: ["parts"],
      additionalProperties: false,
    });
  });

  it("accepts a manifest and any value in a free-form field", () => {
    const validate = compile(manifestSchema(widget));
    expect(validate(manifest({ parts: [{ name: "a" }], items: [1, { a: null }] }))).toBe(true);
    const labels = { "app.kubernetes.io/name": "x", empty: "" };
    const annotations = { "slipway.dev/requestedAt": "now" };
    expect(
      validate(manifest({ parts: [] }, { metadata: { name: "a", namespace: "n", labels, annotations } })),
    ).toBe(true);
  });

  it.each([
    ["an unknown field", manifest({ parts: [], typo: 1 }), "/spec", "additionalProperties"],
    [
      "an unknown field in a list",
      manifest({ parts: [{ name: "a", x: 1 }] }),
      "/spec/parts/0",
      "additionalProperties",
    ],
    ["a status", manifest({ parts: [] }, { status: {} }), "", "additionalProperties"],
    ["another apiVersion", manifest({ parts: [] }, { apiVersion: "v1" }), "/apiVersion", "const"],
    ["another kind", manifest({ parts: [] }, { kind: "Pod" }), "/kind", "const"],
    ["no name", manifest({ parts: [] }, { metadata: {} }), "/metadata", "required"],
    [
      "a name with capitals",
      manifest({ parts: [] }, { metadata: { name: "A" } }),
      "/metadata/name",
      "pattern",
    ],
    [
      "metadata that the cluster owns",
      manifest({ parts: [] }, { metadata: { name: "a", uid: "1" } }),
      "/metadata",
      "additionalProperties",
    ],
    [
      "a label that Kubernetes would refuse",
      manifest({ parts: [] }, { metadata: { name: "a", labels: { a: "b c" } } }),
      "/metadata/labels/a",
      "pattern",
    ],
    ["no spec", { ...manifest(0), spec: undefined }, "", "required"],
  ])("refuses %s at its place", (_what, value, instancePath, keyword) => {
    const validate = compile(manifestSchema(widget));
    expect(validate(JSON.parse(JSON.stringify(value)))).toBe(false);
    expect(validate.errors).toContainEqual(expect.objectContaining({ instancePath, keyword }));
  });

  it.each(KINDS.map((definition) => [definition.kind, definition] as const))(
    "compiles for %s in ajv's strict mode",
    (_kind, definition) => {
      expect(compile(manifestSchema(definition))({})).toBe(false);
    },
  );
});

describe("anyManifestSchema", () => {
  const validate = compile(anyManifestSchema([widget, ...KINDS]));

  it("checks a manifest by its kind", () => {
    expect(validate(manifest({ parts: [] }))).toBe(true);
    expect(validate(manifest({ parts: 1 }))).toBe(false);
    expect(validate.errors).toContainEqual(
      expect.objectContaining({ instancePath: "/spec/parts", keyword: "type" }),
    );
  });

  it("refuses kinds that it does not know", () => {
    expect(validate(manifest({}, { kind: "Pod" }))).toBe(false);
    expect(validate.errors).toEqual([expect.objectContaining({ instancePath: "/kind", keyword: "enum" })]);
  });
});

it("names files after kinds", () => {
  expect(["PromptTemplate", "EvalRun", "Repository", "FineTuneJob"].map(fileStem)).toEqual([
    "prompt-template",
    "eval-run",
    "repository",
    "fine-tune-job",
  ]);
});
