import { API_VERSION, type KindDefinition } from "../kind.ts";
import { type Field, fieldsOf, rulesOf } from "./fields.ts";
import { fileStem } from "./json-schema.ts";
import { type StructuralSchema, structuralSchema } from "./structural.ts";

const HEADER = "<!-- Generated from schemas/ by `npm run generate`; edit the source instead. -->";

/** The reference page of a kind, in Markdown. */
export function referencePage(definition: KindDefinition): string {
  const { kind, description, plural, shortNames, internal, columns } = definition;
  const spec = structuralSchema(definition.spec, "spec");
  const status = structuralSchema(definition.status, "status");
  const rules = rulesOf(spec, "spec");
  return `${[
    HEADER,
    `# ${kind}`,
    description,
    [
      `- API version: \`${API_VERSION}\``,
      `- With kubectl: \`kubectl get ${plural}\`, short ${shortNames.map((name) => `\`${name}\``).join(", ")}`,
      internal
        ? "- Made by the controller; not accepted from git"
        : `- JSON Schema for editors: \`schemas/json/${fileStem(kind)}.json\``,
    ].join("\n"),
    "## Fields of `spec`",
    fieldTable(fieldsOf(spec, "spec").slice(1)),
    ...(rules.length === 0
      ? []
      : [
          "## Rules",
          "Checked by the API server and by `slipway validate`.",
          table(
            ["Field", "Message", "CEL"],
            rules.map(({ path, message, rule }) => [code(path), message, code(rule)]),
          ),
        ]),
    "## Fields of `status`",
    "Written by the controller. `status.observedGeneration` is -1 until the first reconcile.",
    fieldTable(fieldsOf(status, "status").slice(1)),
    "## Columns of `kubectl get`",
    table(
      ["Column", "Value", "Shown"],
      columns.map(({ name, jsonPath, priority }) => [
        name.toUpperCase(),
        code(jsonPath),
        priority ? "with `-o wide`" : "always",
      ]),
    ),
  ].join("\n\n")}\n`;
}

/** The page that lists the kinds. */
export function referenceIndex(kinds: readonly KindDefinition[]): string {
  return `${[
    HEADER,
    "# API reference",
    `Every kind of \`${API_VERSION}\`. \`kubectl get slipway\` shows all objects, \`kubectl explain KIND.spec\` the same texts as here.`,
    table(
      ["Kind", "Short", "What it is"],
      kinds.map(({ kind, shortNames, description }) => [
        `[${kind}](${fileStem(kind)}.md)`,
        shortNames.map(code).join(", "),
        description,
      ]),
    ),
    "Editors that know JSON Schema complete and check manifests; put this line first in the file, with the path to Slipway's `schemas/json/all.json`:",
    "```yaml\n# yaml-language-server: $schema=PATH/schemas/json/all.json\n```",
  ].join("\n\n")}\n`;
}

function fieldTable(fields: readonly Field[]): string {
  return table(
    ["Field", "Type", "Default", "Bounds", "Description"],
    fields
      // The type of a list or map already tells what its entries are.
      .filter(({ path, schema }) => !/(\[\]|\.\*)$/.test(path) || schema.description)
      .map(({ path, schema, required }) => [
        code(path),
        typeName(schema),
        schema.default === undefined ? (required ? "required" : "") : code(JSON.stringify(schema.default)),
        bounds(schema).join("; "),
        schema.description ?? "",
      ]),
  );
}

/** `list of text`, `map of any`, … */
export function typeName(schema: StructuralSchema): string {
  if (schema.items) return `list of ${typeName(schema.items)}`;
  if (schema.additionalProperties) return `map of ${typeName(schema.additionalProperties)}`;
  return schema.type ?? "any";
}

/** What a value must satisfy beside its type, in words. */
export function bounds(schema: StructuralSchema): string[] {
  const found: string[] = [];
  if (schema.enum) found.push(`one of ${schema.enum.map((value) => code(String(value))).join(", ")}`);
  const range = (low: number | undefined, high: number | undefined, unit: string): void => {
    if (low === undefined && high === undefined) return;
    const amount =
      low === high
        ? `exactly ${low}`
        : low === undefined
          ? `at most ${high}`
          : high === undefined
            ? `at least ${low}`
            : `${low} to ${high}`;
    found.push(`${amount}${unit}`);
  };
  if (schema.exclusiveMinimum) found.push(`more than ${schema.minimum}`);
  if (schema.exclusiveMaximum) found.push(`less than ${schema.maximum}`);
  range(
    schema.exclusiveMinimum ? undefined : schema.minimum,
    schema.exclusiveMaximum ? undefined : schema.maximum,
    "",
  );
  if (schema.multipleOf !== undefined) found.push(`a multiple of ${schema.multipleOf}`);
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " entries");
  range(schema.minProperties, schema.maxProperties, " entries");
  if (schema["x-kubernetes-list-type"] === "set") found.push("no entry twice");
  const keys = schema["x-kubernetes-list-map-keys"];
  if (keys) found.push(`${keys.map(code).join(" and ")} unique`);
  if (schema.format) found.push(`format ${schema.format}`);
  if (schema.pattern) found.push(`matches ${code(schema.pattern)}`);
  if (schema.items && !schema.items.properties) {
    found.push(...bounds(schema.items).map((bound) => `each ${bound}`));
  }
  return found;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");
}

/** Bars end a cell even inside code. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** Inline code that may itself contain backticks. */
function code(text: string): string {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}
