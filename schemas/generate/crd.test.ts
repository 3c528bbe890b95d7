import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import type { KindDefinition } from "../kind.ts";
import { crdYaml, customResourceDefinition } from "./crd.ts";

const shared = z.enum(["on", "off", "1:30", "True"]);
const widget: KindDefinition = {
  kind: "Widget",
  plural: "widgets",
  singular: "widget",
  shortNames: ["w"],
  description: "A widget.",
  spec: z.strictObject({ a: shared, b: shared }),
  status: z.strictObject({ observedGeneration: z.int().min(-1).optional() }),
  columns: [{ name: "A", type: "string", jsonPath: ".spec.a" }],
};

describe("crdYaml", () => {
  const yaml = crdYaml(widget);

  it("says the same to YAML 1.1 and 1.2 readers", () => {
    const expected = JSON.parse(JSON.stringify(customResourceDefinition(widget)));
    expect(parse(yaml, { version: "1.1" })).toEqual(expected);
    expect(parse(yaml, { version: "1.2" })).toEqual(expected);
  });

  it("has no anchors and says where it comes from", () => {
    expect(yaml).toMatch(/^# Generated from schemas\//);
    expect(yaml).not.toMatch(/[&*]a\d/);
  });

  it("describes one served and stored version with a status that is not current until written", () => {
    expect(parse(yaml)).toMatchObject({
      metadata: { name: "widgets.slipway.dev" },
      spec: {
        group: "slipway.dev",
        scope: "Namespaced",
        names: {
          kind: "Widget",
          listKind: "WidgetList",
          plural: "widgets",
          singular: "widget",
          shortNames: ["w"],
          categories: ["slipway"],
        },
        versions: [
          {
            name: "v1alpha1",
            served: true,
            storage: true,
            subresources: { status: {} },
            additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: ".spec.a" }],
            schema: {
              openAPIV3Schema: {
                description: "A widget.",
                required: ["spec"],
                properties: { status: { default: { observedGeneration: -1 } } },
              },
            },
          },
        ],
      },
    });
  });
});
