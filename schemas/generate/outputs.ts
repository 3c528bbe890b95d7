import { GROUP, type KindDefinition } from "../kind.ts";
import { crdYaml } from "./crd.ts";
import { anyManifestSchema, fileStem, type JsonSchema, manifestSchema } from "./json-schema.ts";
import { referenceIndex, referencePage } from "./reference.ts";

/** Folders that hold generated files and nothing else. */
export const GENERATED_FOLDERS = ["crds", "schemas/json", "docs/reference"] as const;

/** Every generated file by its path from the project's root. Same kinds, same bytes. */
export function generatedFiles(kinds: readonly KindDefinition[]): Map<string, string> {
  const written = kinds.filter(({ internal }) => !internal);
  const files = new Map<string, string>();
  for (const definition of kinds) {
    files.set(`crds/${GROUP}_${definition.plural}.yaml`, crdYaml(definition));
    files.set(`docs/reference/${fileStem(definition.kind)}.md`, referencePage(definition));
  }
  for (const definition of written) {
    files.set(`schemas/json/${fileStem(definition.kind)}.json`, json(manifestSchema(definition)));
  }
  files.set("schemas/json/all.json", json(anyManifestSchema(written)));
  files.set("docs/reference/README.md", referenceIndex(kinds));
  return files;
}

function json(schema: JsonSchema): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}
