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
    const source = text.slice(start, end).trim();
    start = end + 1;
    if (source === "") continue;
    if (cases.length >= maxCases) return { cases: [], errors: [...errors, tooMany(path)] };
    if (errors.length >= MAX_ERRORS) break;
    const location = { file: path, line };
    try {
      cases.push({ value: JSON.parse(source), location });
    } catch (error) {
      errors.push(
        caseError(location, `not JSON: ${(error as Error).message}`, "write one JSON object a line"),
      );
    }
  }
  return { cases, errors };
}
