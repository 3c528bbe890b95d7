import type { SlipwayError } from "../../errors.ts";
import { caseError, type RawCase, type RawCases } from "./raw-case.ts";

/** One JSON object a line; blank lines are passed over. */
export function readJsonl(path: string, text: string): RawCases {
  const cases: RawCase[] = [];
  const errors: SlipwayError[] = [];
  let start = 0;
  for (let line = 1; start < text.length; line++) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const source = text.slice(start, end).trim();
    start = end + 1;
    if (source === "") continue;
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
