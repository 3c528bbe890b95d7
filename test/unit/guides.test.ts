import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { API_VERSION, KINDS, kindNamed } from "../../schemas/index.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PAGES = [
  "docs/architecture.md",
  ...readdirSync(join(ROOT, "docs/guides"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/guides/${name}`),
];
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

describe.each(PAGES)("%s", (page) => {
  const text = read(page);

  test("shows manifests that the schemas accept", () => {
    for (const [, block = ""] of text.matchAll(/```yaml\n([\s\S]*?)```/g)) {
      for (const document of parseAllDocuments(block)) {
        const object = document.toJS() as { apiVersion: string; kind: string; spec: unknown };
        if (object.apiVersion !== API_VERSION) continue;
        const { error } = kindNamed(object.kind)?.spec.safeParse(object.spec) ?? {
          error: `no kind ${object.kind}`,
        };
        expect(error, `${page}: ${object.kind}`).toBeUndefined();
      }
    }
  });

  test("links to files that there are", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, target = ""]) => target);
    expect(links.filter((target) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([]);
  });
});

test("Argo CD's checks name every kind", () => {
  const { data } = parse(read("examples/argocd/argocd-cm.yaml")) as { data: Record<string, string> };
  const names = KINDS.map(({ kind }) => `resource.customizations.health.slipway.dev_${kind}`);
  expect(Object.keys(data).sort()).toEqual(names.sort());
  for (const lua of Object.values(data)) expect(lua).toContain("Stalled");
});
