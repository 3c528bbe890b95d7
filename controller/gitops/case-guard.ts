import { exceedsTokens, YAML_LIMITS } from "./yaml-documents.ts";

/** Lines that a JSONL file may have: 100,000 cases with a blank line between them. */
const MAX_JSONL_LINES = 200_000;
/** Lines that a CSV file may have: a quoted cell can have many. */
const MAX_CSV_LINES = 1_000_000;

/**
 * Why a case file is not given to a parser: what it would cost is more than its bytes. A pull request's author
 * chooses every byte of it.
 */
export function caseFileFault(path: string, data: Uint8Array): string | undefined {
  if (/\.(ya?ml|json)$/i.test(path)) {
    return exceedsTokens(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"))
      ? `${path} has more than ${YAML_LIMITS.tokens} YAML tokens: write many cases as JSONL`
      : undefined;
  }
  const limit = /\.csv$/i.test(path) ? MAX_CSV_LINES : MAX_JSONL_LINES;
  let lines = 0;
  for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) {
    lines += 1;
    if (lines > limit) return `${path} has more than ${limit} lines: split the suite`;
  }
  return undefined;
}
