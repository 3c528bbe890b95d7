import { CsvError, parse } from "csv-parse/sync";
import { SlipwayError, type SourceLocation } from "../../errors.ts";
import { parseAssertion } from "./assertion-text.ts";
import { caseError, type RawCase, type RawCases, tooMany } from "./raw-case.ts";

interface Row {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/** promptfoo's columns that change what is sent or how it is judged in ways that do not exist here. */
const UNSUPPORTED = ["__prefix", "__suffix", "__providerOutput", "__threshold", "__config"];

/**
 * A CSV file with a header. `__expected`, `__expected1`… hold assertions, `__metric` the metric of them all; `id`,
 * `expected`, `critical` (true or false) and `__cluster` are the case's own; `__description` and `__metadata:…` are
 * passed over; every other column is a variable. A row without an `id` is named after file and row.
 */
export function readCsv(path: string, text: string, maxCases: number): RawCases {
  // The parser tells lines only: a row is told at its beginning.
  const at = (line: number): SourceLocation => ({ file: path, line, column: 1 });
  let rows: Row[];
  try {
    rows = parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      to: maxCases + 2,
    }) as unknown as Row[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === "number" ? error.lines : 1;
    return {
      cases: [],
      errors: [caseError(at(line), error.message, "quote a text that holds a comma or a quote")],
    };
  }
  const [head, ...body] = rows;
  const header = head?.record.map((name) => name.trim()) ?? [];
  const problem = headerProblem(header);
  if (problem !== undefined) return { cases: [], errors: [caseError(at(1), problem)] };

  if (body.length > maxCases) return { cases: [], errors: [tooMany(path)] };
  const cases: RawCase[] = [];
  const errors: SlipwayError[] = [];
  let previous = head?.info.lines ?? 1;
  for (const [index, { record, info }] of body.entries()) {
    // The parser counts the lines that were read; a record begins after the one before.
    const location = at(previous + 1);
    previous = info.lines;
    try {
      cases.push({ value: toCase(header, record, nameOf(path, index + 1)), location });
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      errors.push(caseError(location, error.message, error.hint));
    }
  }
  return { cases, errors };
}

function headerProblem(header: readonly string[]): string | undefined {
  const twice = header.find((name, index) => header.indexOf(name) !== index);
  if (twice !== undefined) return `column ${JSON.stringify(twice)} is there twice`;
  const unsupported = header.find((name) => UNSUPPORTED.some((prefix) => name.startsWith(prefix)));
  return unsupported === undefined ? undefined : `column ${unsupported} is not supported`;
}

function toCase(header: readonly string[], record: readonly string[], name: string): unknown {
  const vars: Record<string, string> = {};
  const assertions: ReturnType<typeof parseAssertion>[] = [];
  const own: Record<string, unknown> = {};
  let metric: string | undefined;
  for (const [index, column] of header.entries()) {
    const cell = record[index] ?? "";
    const text = cell.trim();
    if (column.startsWith("__expected")) {
      if (text !== "") assertions.push(parseAssertion(text));
    } else if (column === "__metric") metric = text === "" ? undefined : text;
    else if (column === "__cluster") {
      if (text !== "") own.cluster = text;
    } else if (column === "__description" || column.startsWith("__metadata")) continue;
    else if (column === "id") {
      if (text !== "") own.id = text;
    } else if (column === "expected") {
      if (cell !== "") own.expected = cell;
    } else if (column === "critical") {
      if (text !== "") own.critical = readBoolean(text);
    } else if (column !== "") Object.defineProperty(vars, column, { value: cell, enumerable: true });
  }
  return {
    id: name,
    ...own,
    vars,
    ...(assertions.length > 0 && {
      assert: assertions.map((assertion) => (metric === undefined ? assertion : { ...assertion, metric })),
    }),
  };
}

function readBoolean(text: string): boolean {
  if (/^(true|yes|1)$/i.test(text)) return true;
  if (/^(false|no|0)$/i.test(text)) return false;
  throw new SlipwayError("InvalidCase", `critical is ${JSON.stringify(text)}`, {
    hint: "write true or false",
  });
}

/** `tests/tickets.csv`, third row: `tickets-3`. */
function nameOf(path: string, row: number): string {
  const stem = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  const name = stem.replaceAll(/[^A-Za-z0-9_.-]/g, "-").slice(0, 100);
  return `${/^[A-Za-z_]/.test(name) ? name : `_${name}`}-${row}`;
}
