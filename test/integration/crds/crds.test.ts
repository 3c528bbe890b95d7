import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { z } from "zod";
import { KubeClient } from "../../../controller/kube/client.ts";
import { KubeError } from "../../../controller/kube/kube-error.ts";
import {
  CustomResourceDefinition,
  type KubeObject,
  Namespace,
  type ResourceType,
} from "../../../controller/kube/resources.ts";
import { customResourceDefinition } from "../../../schemas/generate/crd.ts";
import { rulesOf } from "../../../schemas/generate/fields.ts";
import { structuralSchema } from "../../../schemas/generate/structural.ts";
import {
  API_VERSION,
  FIELD_MANAGER,
  GROUP,
  KINDS,
  type KindDefinition,
  VERSION,
} from "../../../schemas/index.ts";
import { FULL, MINIMAL, variant } from "./manifests.ts";
import { REJECTIONS } from "./rejections.ts";
import { VIOLATIONS } from "./violations.ts";

const namespace = `crds-${Date.now().toString(36)}`;
const byKind = KINDS.map((definition) => [definition.kind, definition] as const);
let client: KubeClient;

function typeOf({ kind, plural }: KindDefinition): ResourceType {
  return { group: GROUP, version: VERSION, kind, plural, namespaced: true };
}

function definitionOf(kind: string): KindDefinition {
  const found = KINDS.find((definition) => definition.kind === kind);
  if (!found) throw new Error(`no kind ${kind}`);
  return found;
}

function object(kind: string, spec: unknown, name = "a"): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, namespace },
    ...(spec === undefined ? {} : { spec }),
  };
}

function create(kind: string, spec: unknown, options: { name?: string; dryRun?: boolean } = {}) {
  return client.create(typeOf(definitionOf(kind)), object(kind, spec, options.name), {
    fieldValidation: "Strict",
    dryRun: options.dryRun ?? true,
  });
}

async function refusal(attempt: Promise<unknown>): Promise<KubeError> {
  const error = await attempt.then(
    () => new Error("the API server accepted it"),
    (cause: unknown) => cause,
  );
  if (!(error instanceof KubeError)) throw error;
  return error;
}

const RULES = KINDS.flatMap(({ kind, spec, status }) =>
  [
    ...rulesOf(structuralSchema(spec, "spec"), "spec"),
    ...rulesOf(structuralSchema(status, "status"), "status"),
  ].map((rule) => ({ ...rule, kind, name: `${kind} ${rule.path}: ${rule.message}` })),
);

beforeAll(async () => {
  const path = process.env.SLIPWAY_TEST_KUBECONFIG;
  // Without a path the client would take the developer's own cluster.
  if (!path) throw new Error("SLIPWAY_TEST_KUBECONFIG is not set");
  client = KubeClient.fromKubeconfig({ path });
  for (const definition of KINDS) {
    const crd = customResourceDefinition(definition) as unknown as KubeObject;
    await client.apply(CustomResourceDefinition, crd, { fieldManager: FIELD_MANAGER, force: true });
  }
  await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  // Served a moment after it is established.
  for (const { kind } of KINDS) {
    await vi.waitFor(() => create(kind, MINIMAL[kind]), { timeout: 20_000, interval: 200 });
  }
}, 60_000);

afterAll(async () => {
  await client?.delete(Namespace, undefined, namespace).catch(() => {});
  await client?.close();
});

describe.each(byKind)("%s", (kind, definition) => {
  it("is a definition that the API server has nothing against", async () => {
    const crd = await client.get(CustomResourceDefinition, undefined, `${definition.plural}.${GROUP}`);
    const { conditions, acceptedNames } = crd.status as {
      conditions: { type: string; status: string }[];
      acceptedNames: { shortNames: string[]; categories: string[] };
    };
    expect(Object.fromEntries(conditions.map(({ type, status }) => [type, status]))).toEqual({
      Established: "True",
      NamesAccepted: "True",
    });
    expect(acceptedNames).toMatchObject({ shortNames: definition.shortNames, categories: ["slipway"] });
  });

  it("stores the schema as it was generated, with nothing pruned", async () => {
    const crd = await client.get(CustomResourceDefinition, undefined, `${definition.plural}.${GROUP}`);
    const generated = customResourceDefinition(definition) as { spec: { versions: unknown[] } };
    const stored = crd.spec as { versions: unknown[] };
    expect(stored.versions).toEqual(JSON.parse(JSON.stringify(generated.spec.versions)));
  });

  it.each([
    ["a minimal", MINIMAL],
    ["a full", FULL],
  ] as const)("gets the same defaults for %s object as zod gives", async (_size, specs) => {
    const spec = specs[kind];
    expect(spec).toBeDefined();
    const answer = await create(kind, spec);
    expect(answer.spec).toEqual((definition.spec as z.ZodType).parse(spec));
  });

  it("is not current until somebody looked at it", async () => {
    const created = await create(kind, FULL[kind], { name: "untouched", dryRun: false });
    expect(created.status).toEqual({ observedGeneration: -1 });
    const read = await client.get(typeOf(definition), namespace, "untouched");
    expect(read.status).toEqual({ observedGeneration: -1 });
    expect(read.metadata.generation).toBe(1);
  });

  it("keeps a written status through a change of spec", async () => {
    const type = typeOf(definition);
    const made = await create(kind, FULL[kind], { name: "written", dryRun: false });
    const status = {
      observedGeneration: 1,
      conditions: [
        {
          type: "Ready",
          status: "True",
          observedGeneration: 1,
          lastTransitionTime: "2026-01-02T03:04:05Z",
          reason: "Reconciled",
          message: "",
        },
      ],
      revision: "c".repeat(64),
      shortRevision: "c".repeat(12),
    };
    await client.replace(type, { ...made, status }, { subresource: "status" });
    const labelled = await client.patch(
      type,
      namespace,
      "written",
      { metadata: { labels: { a: "b" } }, status: { observedGeneration: 99 } },
      { contentType: "application/merge-patch+json" },
    );
    expect(labelled.status).toEqual(status);
  });

  it("refuses a name that does not fit into a label", async () => {
    const error = await refusal(create(kind, MINIMAL[kind], { name: "n".repeat(64) }));
    expect(error.causes).toContainEqual(expect.objectContaining({ field: "metadata.name" }));
  });

  it("refuses a field that it does not know", async () => {
    const error = await refusal(create(kind, { ...MINIMAL[kind], typo: 1 }));
    expect(error.message).toContain('unknown field "spec.typo"');
  });
});

describe("CEL rules", () => {
  it("each have a violating object, and no violating object is left of an old rule", () => {
    expect(Object.keys(VIOLATIONS).sort()).toEqual(RULES.map(({ name }) => name).sort());
  });

  it.each(RULES)("$name", async ({ kind, message, name }) => {
    const violation = VIOLATIONS[name];
    if (!violation) throw new Error(`no violating object for the rule: ${name}`);
    const { spec, field, before } = violation;
    const error = await refusal(before ? change(kind, before, spec) : create(kind, spec));
    expect(error.status).toBe(422);
    expect(error.causes).toHaveLength(1);
    expect(error.causes[0]?.field).toBe(field);
    // The server shows what a rule judges by its type alone.
    expect(error.causes[0]?.message?.replace(/^Invalid value: "(object|array|string)": /, "")).toBe(message);
    // The function beside the CEL says the same; rules about a change have none.
    const parsed = (definitionOf(kind).spec as z.ZodType).safeParse(spec);
    expect(parsed.error?.issues.map((issue) => issue.message) ?? []).toEqual(before ? [] : [message]);
  });
});

async function change(kind: string, before: unknown, after: unknown): Promise<unknown> {
  const existing = await create(kind, before, { name: "changed", dryRun: false });
  return client.replace(typeOf(definitionOf(kind)), { ...existing, spec: after }, { dryRun: true });
}

describe("bounds", () => {
  it.each(REJECTIONS)("refuse $what", async ({ kind, spec, field, says }) => {
    const error = await refusal(create(kind, spec));
    // The server adds that it did not come to the rules, which is not about a field.
    const causes = error.causes.filter(
      ({ message }) => !message?.includes("some validation rules were not checked"),
    );
    expect(causes).toEqual([expect.objectContaining({ field, message: expect.stringMatching(says) })]);
  });

  it("let the largest allowed lists through the rules' cost limit", async () => {
    const assert = Array.from({ length: 32 }, () => ({ type: "contains", value: "x" }));
    const inline = Array.from({ length: 200 }, (_, id) => ({ id: String(id), assert }));
    const gates = Array.from({ length: 16 }, (_, n) => ({ name: `g${n}`, min: 0.1, max: 0.2 }));
    await create("EvalSuite", variant("EvalSuite", { cases: { inline }, assert, gates }));
  });
});
