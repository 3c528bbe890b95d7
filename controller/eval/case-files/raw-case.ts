import type { SourceLocation } from "../../errors.ts";
import { SlipwayError } from "../../errors.ts";

/** Of a suite, in all its files. */
export const MAX_CASES = 100_000;

/** A case as it stands in a file, not yet validated. */
export interface RawCase {
  readonly value: unknown;
  /** Where it begins; in a file with line and column. */
  readonly location: SourceLocation;
  /** The place of a member, where the format knows it better than the case's. */
  readonly locate?: (path: readonly PropertyKey[]) => SourceLocation;
}

export interface RawCases {
  readonly cases: readonly RawCase[];
  readonly errors: readonly SlipwayError[];
}

export function caseError(location: SourceLocation, message: string, hint?: string): SlipwayError {
  return new SlipwayError("InvalidCase", message, { location, ...(hint !== undefined && { hint }) });
}

export function tooMany(path: string): SlipwayError {
  return caseError({ file: path }, `there are more than ${MAX_CASES} cases`, "split the suite");
}

/** `vars.a[0].b` */
export function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}
