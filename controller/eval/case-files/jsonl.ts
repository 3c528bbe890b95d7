import type { SlipwayError } from "../../errors.ts";
import { caseError, type RawCase, type RawCases, tooMany } from "./raw-case.ts";

/** Nobody reads more, and each holds a message. */
const MAX_ERRORS = 200;

/** One JSON object a line; blank lines are passed over. Reads no further than `maxCases`. */
export function readJsonl(path: string, text: string, maxCases: number): RawCases {
  const cases: RawCase[] = [];
  const errors: SlipwayError[] = [];
  let start = 0;
  for (let line = 1; start < text.length; line++) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const whole = text.slice(start, end);
    const source = whole.trim();
    start = end + 1;
    if (source === "") continue;
    if (cases.length >= maxCases) return { cases: [], errors: [...errors, tooMany(path)] };
    if (errors.length >= MAX_ERRORS) break;
    const column = whole.length - whole.trimStart().length + 1;
    try {
      cases.push({ value: JSON.parse(source), location: { file: path, line, column } });
    } catch (error) {
      const { message, position } = placed((error as Error).message);
      const location = { file: path, line, column: column + position };
      errors.push(caseError(location, `not JSON: ${message}`, "write one JSON object a line"));
    }
  }
  return { cases, errors };
}

/**
 * The parser's message without the place that it ends with, which counts from the line's own beginning. For an unknown
 * word and for an end that comes too soon it tells no place: that is told at the beginning.
 */
function placed(message: string): { readonly message: string; readonly position: number } {
  const place = / at position (\d+)( \(line 1 column \d+\))?$/.exec(message);
  return { message: message.slice(0, place?.index), position: Number(place?.[1] ?? 0) };
}
