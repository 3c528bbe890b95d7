import type { DatasetDiff, Side } from "./types.ts";

/** Failures whose message speaks of the spec and of sizes alone. Others quote rows, columns and names of files. */
const OF_THE_SPEC = new Set(["InvalidFilter", "SplitNotFound", "EmptySource", "DatasetTooLarge"]);

/**
 * A comparison for people who may not read the rows. Answers are text of rows however few there are: a step of the
 * pull request could put any column there.
 */
export function withoutText({ base, head, newPii, ...figures }: DatasetDiff): DatasetDiff {
  return {
    ...figures,
    ...(base ? { base: sideWithoutText(base) } : {}),
    ...(head ? { head: sideWithoutText(head) } : {}),
    newPii: newPii.map((found) => ({ ...found, origins: [] })),
    confidential: true,
  };
}

function sideWithoutText(side: Side): Side {
  if ("failure" in side) {
    const { code, message } = side.failure;
    const hidden = "what it says is not shown, as it may quote rows that not everybody may read";
    return { failure: { code, message: OF_THE_SPEC.has(code) ? message : hidden } };
  }
  const { labels: _, ...summary } = side.summary;
  return { summary };
}
