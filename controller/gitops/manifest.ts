import { distance } from "fastest-levenshtein";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, type YAMLMap } from "yaml";
import type { z } from "zod";
import { objectName } from "../../schemas/common.ts";
import {
  API_VERSION,
  type CustomResource,
  GROUP,
  KINDS,
  type KindDefinition,
  kindNamed,
} from "../../schemas/index.ts";
import type { SourceLocation } from "../errors.ts";
import { type StructureFault, structureFaults } from "./list-maps.ts";
import { keyFaults, parseYaml, syntaxFaults, valueFault, type YamlFault } from "./yaml-documents.ts";

/** One thing that is wrong in a repository. */
export interface LoadError {
  readonly location: SourceLocation;
  readonly message: string;
  /** `Kind/name` of the object that is not usable because of it, where that is known. */
  readonly object?: string;
}

/** A valid object and where each of its fields stands. */
export interface Manifest {
  readonly object: CustomResource<unknown>;
  readonly definition: KindDefinition;
  /** Where a field stands, e.g. `["spec", "messages", 0, "content"]`; the nearest parent that exists. */
  locate(path: readonly PropertyKey[]): SourceLocation;
}

export interface ParsedFile {
  readonly manifests: readonly Manifest[];
  readonly errors: readonly LoadError[];
  /** Something in the file could not be read: which objects it held is unknown. */
  readonly unreadable: boolean;
}

/** Edits within which a group counts as a mistyped one of ours. */
const MAX_TYPO = 4;
/** Files that mention neither the group nor a kind are not read further. */
const MENTIONS_US = new RegExp(
  [GROUP, ...KINDS.map(({ kind }) => `\\bkind["']?\\s*:\\s*["']?${kind}\\b`)].join("|"),
);
/** Whether a text may hold an object of ours, judged without parsing it. */
export const mentionsUs = (text: string): boolean => MENTIONS_US.test(text);

/** Longest piece of the author's text in a message. */
const SHOWN = 100;

/**
 * Parses one YAML file. Documents of other API groups are none of our business and left out; a file that is
 * not YAML counts only when it mentions our group.
 */
export function parseManifests(file: string, text: string): ParsedFile {
  const lines = new LineCounter();
  const manifests: Manifest[] = [];
  const errors: LoadError[] = [];
  const at = (offset: number, field?: string): SourceLocation => {
    const { line, col } = lines.linePos(offset);
    return field ? { file, line, column: col, field } : { file, line, column: col };
  };
  if (!mentionsUs(text)) return { manifests, errors, unreadable: false };
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    const before = text.slice(0, nul).split("\n");
    const location = { file, line: before.length, column: (before.at(-1) ?? "").length + 1 };
    errors.push({ location, message: "has a NUL byte: it is not text" });
    return { manifests, errors, unreadable: true };
  }
  const documents = parseYaml(text, lines);
  if ("message" in documents) {
    errors.push({ location: at(documents.offset), message: documents.message });
    return { manifests, errors, unreadable: true };
  }
  let unreadable = false;
  for (const document of documents) {
    const result = readDocument(document, at);
    if (result === undefined) continue;
    if ("manifest" in result) {
      manifests.push(result.manifest);
      continue;
    }
    errors.push(...result.errors);
    // An error that belongs to no object may stand for any: what is absent may be what was meant here.
    unreadable ||= result.errors.some((error) => error.object === undefined);
  }
  return { manifests, errors, unreadable };
}

type Locate = Manifest["locate"];
type DocumentResult = { manifest: Manifest } | { errors: LoadError[] } | undefined;

/** One document: an object, errors, or undefined when it is none of our business. */
function readDocument(
  document: Document.Parsed,
  at: (offset: number, field?: string) => SourceLocation,
): DocumentResult {
  const syntax = syntaxFaults(document);
  const atOffset = ({ offset, message }: YamlFault): LoadError => ({ location: at(offset), message });
  if (syntax.length > 0) return { errors: syntax.map(atOffset) };
  const root = document.contents;
  if (!isMap(root) || !isOurs(root.get("apiVersion"), root.get("kind"), root.get("metadata")))
    return undefined;
  const keys = keyFaults(document);
  if (keys.length > 0) return { errors: keys.map(atOffset) };
  const locate: Locate = (path) => at(offsetOf(root, path), fieldPath(path));
  let value: Record<string, unknown>;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch {
    const message = "not usable YAML: an alias (*…) has no anchor (&…), or aliases multiply";
    return { errors: [{ location: locate([]), message }] };
  }
  const fault = valueFault(value);
  if (fault) {
    const message = `not usable: ${fieldPath(fault.path) || "the document"} ${fault.message}`;
    return { errors: [{ location: locate(fault.path), message }] };
  }
  return parseDocument(value, locate);
}

function parseDocument(value: Record<string, unknown>, locate: Locate): Exclude<DocumentResult, undefined> {
  const { apiVersion, kind, metadata } = value;
  const definition = typeof kind === "string" ? kindNamed(kind) : undefined;
  const name = isRecord(metadata) ? objectName.safeParse(metadata.name).data : undefined;
  const identity = definition && name !== undefined ? { object: `${definition.kind}/${name}` } : {};
  const fail = (path: readonly PropertyKey[], message: string) => ({
    errors: [{ location: locate(path), message, ...identity }],
  });

  if (typeof apiVersion !== "string")
    return fail(["apiVersion"], `apiVersion is missing: write ${API_VERSION}`);
  if (apiVersion !== API_VERSION)
    return fail(["apiVersion"], `apiVersion ${quoted(apiVersion)} does not exist: write ${API_VERSION}`);
  if (!definition) {
    const known = KINDS.filter((k) => !k.internal && k.kind !== "Repository").map((k) => k.kind);
    const wrong = typeof kind === "string" ? `kind ${quoted(kind)} does not exist` : "kind is missing";
    return fail(["kind"], `${wrong}: write one of ${known.join(", ")}`);
  }
  if (definition.kind === "Repository") {
    return fail(
      ["kind"],
      "a Repository cannot come from git: what git may do is decided by the one in the cluster",
    );
  }
  if (definition.internal)
    return fail(["kind"], `${definition.kind} objects are made by the controller and cannot come from git`);
  if (!isRecord(metadata)) return fail(["metadata"], "metadata is missing: write metadata.name");
  if (name === undefined) {
    return fail(
      ["metadata", "name"],
      "metadata.name must be 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit",
    );
  }
  if (metadata.namespace !== undefined) {
    return fail(
      ["metadata", "namespace"],
      "leave metadata.namespace out: objects go to the Repository's own namespace",
    );
  }
  for (const map of ["labels", "annotations"] as const) {
    const entries = metadata[map];
    if (entries === undefined) continue;
    if (!isRecord(entries) || Object.values(entries).some((entry) => typeof entry !== "string")) {
      return fail(["metadata", map], `metadata.${map} must be a map of strings`);
    }
    const reserved = Object.keys(entries).find((key) => key.split("/")[0]?.endsWith(GROUP));
    if (reserved)
      return fail(
        ["metadata", map, reserved],
        `${shortened(reserved)} is set by Slipway and cannot come from git`,
      );
  }
  for (const key of Object.keys(value)) {
    if (!["apiVersion", "kind", "metadata", "spec"].includes(key)) {
      return fail(
        [key],
        key === "status" ? "status is written by Slipway: leave it out" : `unknown field ${shortened(key)}`,
      );
    }
  }
  for (const key of Object.keys(metadata)) {
    if (!["name", "labels", "annotations"].includes(key))
      return fail(["metadata", key], `unknown field metadata.${shortened(key)}`);
  }
  const parsed = definition.spec.safeParse(value.spec ?? {}, { reportInput: true });
  if (!parsed.success) {
    return {
      errors: parsed.error.issues
        .slice(0, 10)
        .map((issue) => ({ ...describeIssue(issue, locate), ...identity })),
    };
  }
  const faults = structureFaults(definition, parsed.data);
  if (faults.length > 0) {
    const describe = ({ path, message }: StructureFault): LoadError => ({
      location: locate(path),
      message: `${fieldPath(path)}: ${message}`,
      ...identity,
    });
    return { errors: faults.slice(0, 10).map(describe) };
  }
  const object = {
    apiVersion: API_VERSION,
    kind: definition.kind,
    metadata: {
      name,
      ...(metadata.labels ? { labels: metadata.labels as Record<string, string> } : {}),
      ...(metadata.annotations ? { annotations: metadata.annotations as Record<string, string> } : {}),
    },
    spec: parsed.data,
  };
  return { manifest: { object, definition, locate } };
}

/**
 * `kind` alone does not make a document ours: another operator may have a kind of the same name. But a mistyped
 * or forgotten group must be an error: taken for a foreign object, the one that it was would be pruned.
 */
function isOurs(apiVersion: unknown, kind: unknown, metadata: unknown): boolean {
  const ourKind = typeof kind === "string" && kindNamed(kind) !== undefined;
  if (typeof apiVersion !== "string") return ourKind && metadata !== undefined;
  const [group = "", version] = apiVersion.split("/");
  if (group === GROUP) return true;
  return ourKind && (version === undefined || distance(group.slice(0, 64), GROUP) <= MAX_TYPO);
}

/** A zod issue in the words of someone who writes YAML. */
function describeIssue(
  issue: z.core.$ZodIssue,
  locate: Locate,
): { location: SourceLocation; message: string } {
  const path = ["spec", ...issue.path];
  const field = fieldPath(path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const key = issue.keys[0] ?? "";
      return {
        location: locate([...path, key]),
        message: `unknown field ${fieldPath([...path, shortened(key)])}`,
      };
    }
    case "invalid_type": {
      const missing = issue.input === undefined;
      return {
        location: locate(path),
        message: missing
          ? `${field} is missing: it needs ${withArticle(issue.expected)}`
          : `${field} must be ${withArticle(issue.expected)}`,
      };
    }
    case "invalid_value":
      return {
        location: locate(path),
        message: `${field} must be one of ${issue.values.map(String).join(", ")}`,
      };
    case "invalid_format":
      return {
        location: locate(path),
        message: `${field} has the wrong form${"pattern" in issue ? `: it must match ${issue.pattern}` : ""}`,
      };
    case "custom":
      return {
        location: locate(path),
        message: issue.path.length === 0 ? issue.message : `${field}: ${issue.message}`,
      };
    default:
      return { location: locate(path), message: `${field}: ${issue.message}` };
  }
}

/** `spec.messages[0].content` */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

/** `spec.messages[0].content` as a path. */
export function parseFieldPath(field: string): PropertyKey[] {
  return [...field.matchAll(/([^.[\]]+)|\[([0-9]+)\]/g)].map(([, name, index]) =>
    index === undefined ? (name as string) : Number(index),
  );
}

/** Where the node at `path` starts; the key's position for a member, the nearest parent when it does not exist. */
function offsetOf(root: YAMLMap, path: readonly PropertyKey[]): number {
  let node: Node = root;
  let offset = root.range?.[0] ?? 0;
  for (const part of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
      );
      if (!pair) break;
      if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
      next = pair.value;
    } else if ("items" in node && Array.isArray(node.items)) {
      next = node.items[Number(part)];
      if (isNode(next) && next.range) offset = next.range[0];
    }
    if (!isNode(next)) break;
    node = next;
  }
  return offset;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const withArticle = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);
const shortened = (text: string) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
const quoted = (text: string) => JSON.stringify(shortened(text));
