import { Document } from "yaml";
import { GROUP, type KindDefinition, VERSION } from "../kind.ts";
import { type StructuralSchema, structuralSchema } from "./structural.ts";

const HEADER = " Generated from schemas/ by `npm run generate`; edit the source instead.";

/** The CustomResourceDefinition of a kind, as plain data. */
export function customResourceDefinition(definition: KindDefinition): Record<string, unknown> {
  const { kind, plural, singular, shortNames, columns, scale } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}`, labels: { "app.kubernetes.io/part-of": "slipway" } },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ["slipway"] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: objectSchema(definition) },
          subresources: { status: {}, ...(scale ? { scale } : {}) },
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

/** The schema of a whole object in the cluster. */
export function objectSchema({ description, spec, status }: KindDefinition): StructuralSchema {
  return {
    description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      // Names become label values and are referred to by fields of this length.
      metadata: { type: "object", properties: { name: { type: "string", maxLength: 63 } } },
      spec: { description: "What is wanted.", ...structuralSchema(spec, "spec") },
      status: {
        description: "What was found. Written by the controller.",
        // Tools that follow kstatus must not take an object for ready that nobody has looked at.
        default: { observedGeneration: -1 },
        ...structuralSchema(status, "status"),
      },
    },
  };
}

/** The file in `crds/`: YAML that YAML 1.1 readers (Go) and 1.2 readers understand alike. */
export function crdYaml(definition: KindDefinition): string {
  const document = new Document(customResourceDefinition(definition), {
    version: "1.1",
    aliasDuplicateObjects: false,
  });
  document.commentBefore = HEADER;
  return document.toString({ lineWidth: 110 });
}
