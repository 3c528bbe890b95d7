import type { DatasetFormat } from "../../schemas/dataset.ts";
import type { Json } from "../graph/canonical.ts";

export { wordsOf } from "./words.ts";

/** One training example, in one of the four shapes of `DatasetFormat`. Its members are in the order of their names. */
export type Row = { readonly [field: string]: Json };

/** A row and where it came from, for people: `tickets.jsonl:12`. */
export interface PlacedRow {
  readonly row: Row;
  readonly origin: string;
}

const ROLES = new Set(["system", "user", "assistant", "tool"]);

/** The fields of each format, in the order of columns. TRL's names. */
export const FIELDS: Readonly<Record<DatasetFormat, readonly string[]>> = {
  chat: ["messages"],
  completion: ["prompt", "completion"],
  preference: ["prompt", "chosen", "rejected"],
  kto: ["prompt", "completion", "label"],
};

/** The same in the order of names: the canonical form of a row. */
const SORTED = Object.fromEntries(
  Object.entries(FIELDS).map(([format, fields]) => [format, [...fields].sort()]),
) as Record<DatasetFormat, string[]>;

/** The fields of a format as they stand in a line. */
export const sortedFields = (format: DatasetFormat): readonly string[] => SORTED[format];

/** Texts in the order in which people read them. */
export const TEXT_FIELDS = ["prompt", "completion", "chosen", "rejected"];

/** As CSV has them: pandas and spreadsheets write them in their own ways. */
const LABELS: ReadonlyMap<unknown, boolean> = new Map([
  ...["true", "True", "TRUE", "1"].map((text) => [text, true] as const),
  ...["false", "False", "FALSE", "0"].map((text) => [text, false] as const),
]);

/**
 * Reads a value as a row; fields that the format does not have are left out.
 * @returns the row, or in words why it is none
 */
export function toRow(format: DatasetFormat, value: unknown): Row | string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "a row is an object";
  const given = value as Record<string, unknown>;
  if (format === "chat") return chatRow(given.messages);
  const row: Record<string, Json> = {};
  for (const field of SORTED[format]) {
    const found = Object.hasOwn(given, field) ? given[field] : undefined;
    if (found === undefined || found === null) return `the column ${field} is missing`;
    if (field === "label") {
      const label = LABELS.get(found) ?? found;
      if (typeof label !== "boolean") return "label must be true or false";
      row[field] = label;
    } else if (typeof found !== "string") return `${field} must be text, not ${typeOf(found)}`;
    else row[field] = found;
  }
  return row;
}

function chatRow(value: unknown): Row | string {
  let messages = value;
  if (typeof value === "string") {
    // A CSV or Parquet cell.
    try {
      messages = JSON.parse(value);
    } catch {
      return "messages must be a list";
    }
  }
  if (messages === undefined) return "the column messages is missing";
  if (!Array.isArray(messages) || messages.length === 0) return "messages must be a list of at least one";
  const list: Json[] = [];
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    if (typeof role !== "string" || !ROLES.has(role))
      return `messages[${i}].role must be system, user, assistant or tool`;
    if (typeof content !== "string") return `messages[${i}].content must be text`;
    list.push({ content, role });
  }
  return { messages: list };
}

const typeOf = (value: unknown) => (Array.isArray(value) ? "a list" : value === null ? "null" : typeof value);

/** Every text of a row, in order. */
export function textsOf(row: Row): string[] {
  if (Array.isArray(row.messages))
    return row.messages.map((message) => (message as { content: string }).content);
  const texts: string[] = [];
  for (const field of TEXT_FIELDS) {
    const value = row[field];
    if (typeof value === "string") texts.push(value);
  }
  return texts;
}

/** All of a row's text. */
export const textOf = (row: Row): string => textsOf(row).join("\n");

/** What tells one row from another: all but system messages, which are the same in thousands of rows. */
export function ownTexts(row: Row): string[] {
  if (!Array.isArray(row.messages)) return textsOf(row);
  const messages = row.messages as { role: string; content: string }[];
  return messages.flatMap(({ role, content }) => (role === "system" ? [] : [content]));
}

/** The row with every text replaced; the same object where nothing changes. */
export function mapTexts(row: Row, change: (text: string) => string): Row {
  if (Array.isArray(row.messages)) {
    let same = true;
    const messages = row.messages.map((message) => {
      const { role, content } = message as { role: string; content: string };
      const changed = change(content);
      if (changed !== content) same = false;
      return { content: changed, role };
    });
    return same ? row : { messages };
  }
  let result: Record<string, Json> | undefined;
  for (const field of TEXT_FIELDS) {
    const value = row[field];
    if (typeof value !== "string") continue;
    const changed = change(value);
    if (changed === value) continue;
    result ??= { ...row } as Record<string, Json>;
    result[field] = changed;
  }
  return result ?? row;
}

/** The row as one line, which its digest is taken of: canonical JSON, as its members are in order. */
export const lineOf = (row: Row): string => JSON.stringify(row);
