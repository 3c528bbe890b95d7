import { isSeq, parseDocument, stringify } from "yaml";
import { type EvalCase, evalCase } from "../../../../schemas/eval-suite.ts";
import { SlipwayError } from "../../../errors.ts";
import { loadCases } from "../../../eval/cases.ts";
import { canonicalJson } from "../../../graph/canonical.ts";

export interface Appended {
  readonly content: string;
  /** Ids of the cases that were not there yet. */
  readonly added: readonly string[];
}

/**
 * Adds cases at the end of a case file, as it stands: what is there keeps its comments, its order and its bytes. A case
 * whose id is there already is left out.
 * @param content undefined for a file that does not exist
 * @throws SlipwayError CaseFileUnwritable naming what is wrong with the file
 */
export function appendCases(path: string, content: string | undefined, cases: readonly EvalCase[]): Appended {
  const before = content ?? "";
  const known = new Set(read(path, before).map(({ id }) => id));
  const missing = cases.filter(({ id }) => !known.has(id));
  if (missing.length === 0) return { content: before, added: [] };
  const after = writerOf(path)(before, missing.map(plain));
  const added = missing.map(({ id }) => id);
  // Whoever reads the file next must find it as it was, and these.
  const found = read(path, after).map(({ id }) => id);
  if (canonicalJson(found) !== canonicalJson([...known, ...added])) {
    throw unwritable(path, "its cases are written in a way that cannot be continued");
  }
  return { content: after, added };
}

type Writer = (before: string, cases: readonly object[]) => string;

function writerOf(path: string): Writer {
  switch (path.slice(path.lastIndexOf(".") + 1).toLowerCase()) {
    case "jsonl":
    case "ndjson":
      return (before, cases) => ended(before) + cases.map((each) => `${JSON.stringify(each)}\n`).join("");
    case "yaml":
    case "yml":
      return appendYaml;
    case "json":
      return (before, cases) => {
        const list: unknown[] = before.trim() === "" ? [] : (JSON.parse(before) as unknown[]);
        return `${JSON.stringify([...list, ...cases], null, 2)}\n`;
      };
    default:
      throw unwritable(path, "only .jsonl, .yaml and .json files are written");
  }
}

/** A block list goes on as text; anything else (`[…]`, an empty file with comments) by way of the parsed document. */
function appendYaml(before: string, cases: readonly object[]): string {
  const document = parseDocument(before);
  const { contents } = document;
  const ends = /^(---|\.\.\.)/m.test(before.replace(/^---[^\n]*\n/, ""));
  if (!isSeq(contents) || contents.flow || ends) {
    if (!isSeq(contents)) return `${ended(before)}${stringify(cases)}`;
    for (const each of cases) document.add(document.createNode(each));
    return document.toString({ lineWidth: 0 });
  }
  // The column of the first dash: cases that follow stand in the same one.
  const [start = 0] = contents.range ?? [];
  const indent = " ".repeat(start - (before.lastIndexOf("\n", start - 1) + 1));
  const lines = stringify(cases, { lineWidth: 0 }).trimEnd().split("\n");
  return `${ended(before)}${lines.map((line) => (line === "" ? line : indent + line)).join("\n")}\n`;
}

/** Ids of the cases that one content of a file has beyond another. */
export function addedIds(path: string, before: string | undefined, after: string): readonly string[] {
  const known = new Set(read(path, before ?? "").map(({ id }) => id));
  return read(path, after).flatMap(({ id }) => (known.has(id) ? [] : [id]));
}

/** With a line's end, so that what follows begins a line. */
function ended(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** As people write it: in the order of the schema, which begins with the id, and without what is empty. */
function plain(each: EvalCase): object {
  return Object.fromEntries(
    evalCase
      .keyof()
      .options.map((key) => [key, each[key]] as const)
      .filter(([key, value]) => value !== undefined && !(key === "vars" && isEmpty(value))),
  );
}

const isEmpty = (value: unknown) => typeof value === "object" && Object.keys(value ?? {}).length === 0;

function read(path: string, content: string): readonly EvalCase[] {
  // A list without an item yet.
  if (content.replace(/^\s*#.*$/gm, "").trim() === "") return [];
  const { cases, errors } = loadCases([{ path, data: content }]);
  const [error] = errors;
  if (error) throw unwritable(path, error.message);
  return cases;
}

function unwritable(path: string, message: string): SlipwayError {
  return new SlipwayError("CaseFileUnwritable", `${path}: ${message}`, {
    hint: "name a case file in openPullRequest.file that slipway validate accepts",
  });
}
