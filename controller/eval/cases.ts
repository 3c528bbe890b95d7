import { type EvalCase, evalCase } from "../../schemas/eval-suite.ts";
import { formatLocation, type SlipwayError, type SourceLocation } from "../errors.ts";
import { readCsv } from "./case-files/csv.ts";
import { readJsonl } from "./case-files/jsonl.ts";
import { caseError, fieldName, MAX_CASES, type RawCase, type RawCases } from "./case-files/raw-case.ts";
import { readYaml } from "./case-files/yaml.ts";

export interface CaseFile {
  readonly path: string;
  readonly data: Uint8Array | string;
}

export interface LoadedCases {
  readonly cases: readonly EvalCase[];
  /**
   * InvalidCase, at most 100: each with file, line and column, and the field where it is known; a fault of a whole file
   * (too large, of an unknown kind) has no line.
   */
  readonly errors: readonly SlipwayError[];
}

export { MAX_CASES };

const MAX_BYTES = 64 * 1024 * 1024;
/** A YAML document is held as a tree with the place of every value, many times its size. */
const MAX_YAML_BYTES = 8 * 1024 * 1024;
const MAX_DEPTH = 32;
const MAX_ERRORS = 100;

const READERS: Readonly<Record<string, (path: string, text: string, maxCases: number) => RawCases>> = {
  jsonl: readJsonl,
  ndjson: readJsonl,
  csv: readCsv,
  yaml: readYaml,
  yml: readYaml,
  json: readYaml,
};

/**
 * Reads and checks the cases of a suite: the inline ones, then each file's, in order. An id may stand only once in all of
 * them, because base and head are paired by it.
 */
export function loadCases(files: readonly CaseFile[], inline: readonly unknown[] = []): LoadedCases {
  const cases: EvalCase[] = [];
  const errors: SlipwayError[] = [];
  const places = new Map<string, SourceLocation>();
  const add = (raw: RawCase): void => {
    const checked = check(raw);
    if (Array.isArray(checked)) {
      errors.push(...checked);
      return;
    }
    const first = places.get(checked.id);
    if (first) {
      errors.push(
        caseError(
          raw.location,
          `case ${checked.id} is already at ${place(first)}`,
          "give each case an id of its own",
        ),
      );
      return;
    }
    places.set(checked.id, raw.location);
    cases.push(checked);
  };

  for (const [index, value] of inline.entries()) {
    const field = `spec.cases.inline[${index}]`;
    const locate = (path: readonly PropertyKey[]) => ({
      file: "inline",
      field: `${field}.${fieldName(path)}`,
    });
    add({ value, location: { file: "inline", field }, locate });
  }
  let bytes = 0;
  for (const file of files) {
    bytes += typeof file.data === "string" ? Buffer.byteLength(file.data) : file.data.byteLength;
    if (bytes > MAX_BYTES) {
      errors.push(
        caseError(
          { file: file.path },
          `the case files have more than ${MAX_BYTES / 1024 / 1024} MiB together`,
        ),
      );
      break;
    }
    if (errors.length >= MAX_ERRORS) break;
    const room = MAX_CASES - cases.length;
    const read = readFile(file, room);
    errors.push(...read.errors);
    for (const raw of read.cases) {
      if (errors.length >= MAX_ERRORS) break;
      add(raw);
    }
  }
  return { cases, errors: limited(errors) };
}

function readFile({ path, data }: CaseFile, maxCases: number): RawCases {
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const reader = READERS[extension];
  const fail = (message: string, hint: string): RawCases => ({
    cases: [],
    errors: [caseError({ file: path }, message, hint)],
  });
  if (!reader) return fail("unknown kind of case file", "name it .jsonl, .csv, .yaml or .json");
  if (reader === readYaml && data.length > MAX_YAML_BYTES)
    return fail(`larger than ${MAX_YAML_BYTES / 1024 / 1024} MiB`, "write many cases as JSONL");
  try {
    const text = typeof data === "string" ? data : new TextDecoder("utf-8", { fatal: true }).decode(data);
    return reader(path, text.replace(/^\uFEFF/, ""), maxCases);
  } catch (error) {
    if (error instanceof TypeError) return fail("not UTF-8 text", "save the file as UTF-8");
    throw error;
  }
}

function check(raw: RawCase): EvalCase | SlipwayError[] {
  const { value, location, locate } = raw;
  if (deeperThan(value, MAX_DEPTH))
    return [caseError(location, `values are nested more than ${MAX_DEPTH} deep`)];
  const parsed = evalCase.safeParse(value);
  if (parsed.success) return parsed.data;
  return parsed.error.issues.map((issue) => {
    const field = fieldName(issue.path);
    const at = locate?.(issue.path) ?? location;
    return caseError(
      { ...at, ...(at.field === undefined && field !== "" && { field }) },
      field === "" ? issue.message : `${field}: ${issue.message}`,
    );
  });
}

/** Also ends for what refers to itself, as YAML aliases can make it. */
function deeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (limit === 0) return true;
  return Object.values(value).some((member) => deeperThan(member, limit - 1));
}

function place(location: SourceLocation): string {
  return location.field ?? formatLocation(location);
}

function limited(errors: readonly SlipwayError[]): SlipwayError[] {
  if (errors.length <= MAX_ERRORS) return [...errors];
  const last = caseError(
    { file: errors[MAX_ERRORS]!.location?.file ?? "" },
    "there are more errors than are shown",
  );
  return [...errors.slice(0, MAX_ERRORS - 1), last];
}
