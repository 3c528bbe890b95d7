import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { buildGraph, nodeKey } from "../../controller/graph/graph.ts";
import { manifestSchema } from "../../schemas/generate/json-schema.ts";
import { API_VERSION, type CustomResource, KINDS, kindNamed } from "../../schemas/index.ts";
import {
  blocks,
  brokenLinks,
  documents,
  fieldsNamed,
  hasField,
  pageOf,
  pagePaths,
  pathOf,
  prose,
  SECTIONS,
} from "../kind-pages.ts";

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
const MANIFESTS = new Map(
  KINDS.map((definition) => [definition.kind, ajv.compile(manifestSchema(definition))]),
);
const TROUBLESHOOTING = pageOf("docs/guides/troubleshooting.md");

const ours = (object: CustomResource<unknown>) => object?.apiVersion === API_VERSION;

/** What is wrong with an object that a page shows. */
function faults(object: CustomResource<unknown>): string[] {
  const definition = kindNamed(object.kind);
  const manifest = MANIFESTS.get(object.kind);
  if (!definition || !manifest) return [`there is no kind ${object.kind}`];
  const { status, ...desired } = object;
  manifest(desired);
  return [
    ...(manifest.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`),
    ...(definition.spec.safeParse(object.spec).error?.issues ?? []),
    ...(status === undefined ? [] : (definition.status.safeParse(status).error?.issues ?? [])),
  ].map((fault) => (typeof fault === "string" ? fault : `${fault.path.join(".")}: ${fault.message}`));
}

/** Every object that some page shows: what a full example of another page may refer to. */
const SHOWN = new Set(
  pagePaths().flatMap((path) =>
    documents(pageOf(path).text)
      .filter(ours)
      .map(({ kind, metadata }) => nodeKey(kind, metadata.name)),
  ),
);

/** Reasons in the tables of a kind's section of the troubleshooting guide, its subsections included. */
function reasonsOf(kind: string): string[] {
  const rows = (TROUBLESHOOTING.sections.get(kind) ?? "")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, word = ""]) => word),
  );
}

test("every page is that of a kind", () => {
  expect(pagePaths().sort()).toEqual(KINDS.map(pathOf).sort());
});

describe.each(KINDS)("docs/kinds: $kind", (definition) => {
  const page = pageOf(pathOf(definition));
  const { kind } = definition;

  test("has the sections of every page, in their order", () => {
    expect(page.text.startsWith(`# ${kind}\n`)).toBe(true);
    expect(
      [...page.sections.keys()].filter((name) => (SECTIONS as readonly string[]).includes(name)),
    ).toEqual(SECTIONS);
  });

  test("shows objects that the schemas accept", () => {
    for (const object of documents(page.text)) {
      // A Secret, say, is whole too; a piece of an object is not checked, so it is not shown.
      expect([object?.apiVersion, object?.kind, object?.metadata?.name], page.path).not.toContain(undefined);
      if (ours(object)) expect(faults(object), `${page.path}: ${object.kind}`).toEqual([]);
    }
  });

  test.each(SECTIONS.slice(0, 2))("%s: an object of the kind, and what it refers to", (section) => {
    const objects = documents(page.sections.get(section) ?? "").filter(ours);
    expect(objects.map((object) => object.kind)).toContain(kind);
    const shown = objects.flatMap((object) => {
      const spec = kindNamed(object.kind)?.spec.parse(object.spec);
      return [{ ...object, spec }];
    });
    const elsewhere = (to: string, name: string) =>
      SHOWN.has(nodeKey(to, name)) ? "0".repeat(64) : undefined;
    const { nodes } = buildGraph(shown, elsewhere);
    expect([...nodes.values()].flatMap(({ problems }) => problems)).toEqual([]);
  });

  test("shows the columns that kubectl prints", () => {
    const columns = (wide: boolean) => [
      "NAME",
      ...definition.columns
        .filter(({ priority = 0 }) => wide || priority === 0)
        .map(({ name }) => name.toUpperCase()),
    ];
    const shown = blocks(page.sections.get("Status") ?? "", "console")
      .flatMap((block) => [...block.matchAll(/^\$ kubectl get (.+)\n(NAME .+)\n(\S.*)$/gm)])
      .filter(([, command = ""]) =>
        [definition.plural, ...definition.shortNames].includes(command.split(/[ ,]/)[0] ?? ""),
      );
    expect(shown.length, `${page.path}: $ kubectl get ${definition.shortNames[0]} …`).toBeGreaterThan(0);
    // A table that no command asked for is left from before.
    const tables = blocks(page.text, "console").flatMap((block) => block.match(/^NAME /gm) ?? []);
    const asked = blocks(page.text, "console").flatMap((block) => block.match(/^\$ kubectl get /gm) ?? []);
    expect(tables.length).toBe(asked.length);
    for (const [, command = "", header = ""] of shown)
      expect(header.trim().split(/\s{2,}/), command).toEqual(columns(command.includes("-o wide")));
  });

  test("names fields that there are", () => {
    const named = fieldsNamed(page.text);
    expect(named.length).toBeGreaterThan(0);
    // A page also speaks of fields of the kinds that it refers to.
    expect(named.filter((field) => !KINDS.some((other) => hasField(other, field)))).toEqual([]);
    expect(named.filter((field) => hasField(definition, field)).length).toBeGreaterThan(0);
  });

  test("leads to every reason of the troubleshooting guide", () => {
    const reasons = reasonsOf(kind);
    expect(reasons.length).toBeGreaterThan(0);
    if (page.text.includes(`(../guides/troubleshooting.md#${kind.toLowerCase()})`)) return;
    expect(reasons.filter((reason) => !prose(page.text).includes(`\`${reason}\``))).toEqual([]);
  });

  test("explains only reasons that the guide knows", () => {
    const rows = (page.sections.get("When something is wrong") ?? "")
      .split("\n")
      .filter((line) => line.startsWith("| `"));
    const words = rows.flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`([A-Z]\w+)`/g)].map(([, word]) => word ?? ""),
    );
    expect(words.filter((word) => !TROUBLESHOOTING.text.includes(`\`${word}\``))).toEqual([]);
  });

  test("links to what there is", () => {
    expect(brokenLinks(page.path, page.text)).toEqual([]);
  });
});

test("a field that does not exist is seen", () => {
  const suite = kindNamed("EvalSuite");
  if (!suite) throw new Error("no EvalSuite");
  expect(hasField(suite, "spec.targets[0].promptRef.name")).toBe(true);
  expect(hasField(suite, "spec.cases.inline[].vars.ticket")).toBe(true);
  expect(hasField(suite, "spec.targets[0].promptRef.nam")).toBe(false);
  expect(hasField(suite, "status.verdict")).toBe(false);
  expect(fieldsNamed("`spec.a.b: c` and `status.x` in\n```yaml\n`spec.y`\n```\n")).toEqual([
    "spec.a.b",
    "status.x",
  ]);
});
