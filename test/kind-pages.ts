import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parseAllDocuments } from "yaml";
import { fileStem, type JsonSchema, rawSchema } from "../schemas/generate/json-schema.ts";
import type { CustomResource, KindDefinition } from "../schemas/index.ts";

const ROOT = join(import.meta.dirname, "..");

/** The sections of every page in docs/kinds, in this order; a page may have more in between. */
export const SECTIONS = ["Minimal example", "Full example", "Status", "When something is wrong"] as const;

export interface Page {
  readonly path: string;
  readonly text: string;
  /** Text by level-two heading, without the heading. */
  readonly sections: ReadonlyMap<string, string>;
}

export function pageOf(path: string): Page {
  const text = readFileSync(join(ROOT, path), "utf8");
  const [, ...parts] = text.split(/^## /m);
  const sections = parts.map((part) => {
    const end = part.indexOf("\n");
    return [part.slice(0, end).trim(), part.slice(end + 1)] as const;
  });
  return { path, text, sections: new Map(sections) };
}

export const pathOf = ({ kind }: KindDefinition): string => `docs/kinds/${fileStem(kind)}.md`;

/** Every page that there is, by its path. */
export function pagePaths(): string[] {
  return readdirSync(join(ROOT, "docs/kinds")).map((name) => `docs/kinds/${name}`);
}

/** Contents of the fenced blocks of a language. */
export function blocks(text: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...text.matchAll(fence)].map(([, block = ""]) => block);
}

/** The documents of all yaml blocks. @throws for a block that is not YAML */
export function documents(text: string): CustomResource<unknown>[] {
  return blocks(text, "yaml").flatMap((block) =>
    parseAllDocuments(block).map((document) => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS() as CustomResource<unknown>;
    }),
  );
}

/** Text without fenced blocks: what is said, not shown. */
export const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, "");

/** What is written in backticks as `spec.…` or `status.…`. */
export function fieldsNamed(text: string): string[] {
  return [...prose(text).matchAll(/`((?:spec|status)\.[^`\s:=]+)[^`]*`/g)].map(([, field = ""]) => field);
}

/** Whether a kind has a field: `spec.targets[0].name`, `spec.targets[].name`, `spec.variables.ticket` of a map. */
export function hasField(definition: KindDefinition, field: string): boolean {
  const [root = "", ...names] = field.replace(/\[[^\]]*\]/g, "").split(".");
  let at: JsonSchema | undefined = rawSchema(root === "spec" ? definition.spec : definition.status, root);
  for (const name of names) {
    while (at?.type === "array") at = at.items as JsonSchema;
    const properties = at?.properties as Record<string, JsonSchema> | undefined;
    const more: unknown = at?.additionalProperties;
    at = properties?.[name] ?? (typeof more === "object" ? (more as JsonSchema) : undefined);
    if (at === undefined) return false;
    // Any JSON value: what is in it is not the schema's to say.
    if (at.type === undefined && at.properties === undefined) return true;
  }
  return true;
}

/** GitHub's anchor of a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

/** Links of a page that lead nowhere: to a file that is not there, or a heading that the file does not have. */
export function brokenLinks(path: string, text: string): string[] {
  return [...prose(text).matchAll(/\]\((?!https?:)([^)\s]+)[^)]*\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => {
      const [file = "", anchor] = target.split("#");
      const to = file === "" ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(ROOT, to))) return true;
      if (anchor === undefined) return false;
      const headings = prose(readFileSync(join(ROOT, to), "utf8")).matchAll(/^#+ (.+)$/gm);
      return ![...headings].some(([, heading = ""]) => anchorOf(heading) === anchor);
    });
}
