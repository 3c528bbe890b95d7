import { type Assertion, GRADERS, type GraderName } from "../../../schemas/eval-suite.ts";
import { SlipwayError } from "../../errors.ts";

const LISTS: ReadonlySet<string> = new Set([
  "contains-all",
  "contains-any",
  "icontains-all",
  "icontains-any",
]);
const SCHEMAS: ReadonlySet<string> = new Set(["is-json", "contains-json"]);
/** In a CSV, promptfoo takes this threshold where none is written. For levenshtein that means: to the letter. */
const CSV_THRESHOLD = 0.75;

/** promptfoo's types that have no grader here; taken for plain text they would silently test something else. */
const UNSUPPORTED =
  /^(not-)?(javascript|fn|eval|python|ruby|webhook|similar|similar:\w+|classifier|factuality|answer-relevance|context-\w+|model-graded-\w+|g-eval|bleu|gleu|rouge-n|meteor|perplexity(-score)?|is-\w[\w-]*|contains-(sql|xml|html)|moderation|guardrails|select-best|max-score|pi|trace-[\w-]+|trajectory:[\w-]+|finish-reason|word-count|tool-call-f1)(\([^)]*\))?(:|$)/;
const KNOWN = new RegExp(`^(not-)?(${GRADERS.join("|")})(?:\\(([0-9]+(?:\\.[0-9]+)?)\\))?(?::([\\s\\S]*))?$`);

/**
 * Reads promptfoo's short form `type(threshold):value`, as it stands in a CSV's `__expected` column. Text without a
 * type must be equalled.
 * @throws SlipwayError UnsupportedAssertion or InvalidAssertion
 */
export function parseAssertion(text: string): Assertion {
  const shorthand = /^(grade|llm-rubric):/.exec(text);
  if (shorthand) return { type: "llm-rubric", value: text.slice(shorthand[0].length).trim(), weight: 1 };
  const match = KNOWN.exec(text);
  if (!match) {
    const unsupported = UNSUPPORTED.exec(text);
    if (unsupported || text.startsWith("file://")) {
      throw new SlipwayError(
        "UnsupportedAssertion",
        `${unsupported?.[2] ?? "file://"} is not a grader here`,
        {
          hint: `use one of ${GRADERS.join(", ")}; for literal text write equals:…`,
        },
      );
    }
    return { type: "equals", value: text, weight: 1 };
  }
  const [, not = "", name, threshold, value] = match;
  const grader = name as GraderName;
  const type = `${not}${grader}` as Assertion["type"];
  const limit = threshold === undefined ? {} : { threshold: Number(threshold) };
  if (LISTS.has(grader))
    return { type, value: (value ?? "").split(",").map((item) => item.trim()), weight: 1 };
  if (SCHEMAS.has(grader)) return { type, ...(value !== undefined && { value }), weight: 1 };
  if (grader === "latency" || grader === "cost") {
    if (threshold === undefined) {
      throw new SlipwayError("InvalidAssertion", `${grader} needs a threshold`, {
        hint: `write ${grader}(1000)`,
      });
    }
    return { type, ...limit, weight: 1 };
  }
  const withDefault = grader === "levenshtein" ? { threshold: CSV_THRESHOLD, ...limit } : limit;
  return { type, ...(value !== undefined && { value: value.trim() }), ...withDefault, weight: 1 };
}
