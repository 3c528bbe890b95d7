import { RE2JS } from "re2js";
import { SlipwayError } from "../../controller/errors.ts";

/**
 * A pattern that means the same in JavaScript (zod, ajv) and in Go (the API server), as Go reads it.
 * @throws SlipwayError NotStructural, naming the field, where the two would differ
 */
export function portablePattern(pattern: string, path: string): string {
  // A regular expression literal escapes slashes; nobody else needs that.
  const source = pattern.replaceAll("\\/", "/");
  try {
    RE2JS.compile(source);
  } catch (cause) {
    throw notPortable(
      path,
      source,
      `not RE2, which the API server uses (${(cause as Error).message})`,
      cause,
    );
  }
  try {
    new RegExp(source, "u");
  } catch (cause) {
    throw notPortable(
      path,
      source,
      `not valid with the flag u, which ajv sets (${(cause as Error).message})`,
      cause,
    );
  }
  if (/(?<!\\)(\\\\)*\\[sS]/.test(source)) {
    throw notPortable(
      path,
      source,
      "\\s is every Unicode space in JavaScript, and only six in Go: write \\p{Z}",
    );
  }
  return source;
}

function notPortable(path: string, pattern: string, why: string, cause?: unknown): SlipwayError {
  return new SlipwayError("NotStructural", `${path}: the pattern ${pattern} is ${why}`, { cause });
}
