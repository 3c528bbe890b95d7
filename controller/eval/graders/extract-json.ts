/** Characters looked at in one text, so that an answer made of brackets costs no more than a long one. */
const MAX_WORK = 20_000_000;

/**
 * The outermost objects and lists of a text that may hold prose and code fences beside them. What only looks like JSON
 * is passed over.
 */
export function extractJson(text: string): unknown[] {
  const found: unknown[] = [];
  let at = 0;
  for (let work = 0; work < MAX_WORK; ) {
    const start = nextOpening(text, at);
    if (start < 0) break;
    const end = closing(text, start);
    work += (end < 0 ? text.length : end) - start;
    const value = end < 0 ? undefined : parse(text.slice(start, end));
    if (value === undefined) at = start + 1;
    else {
      found.push(value);
      at = end;
    }
  }
  return found;
}

function nextOpening(text: string, from: number): number {
  const index = text.slice(from).search(/[{[]/);
  return index < 0 ? -1 : from + index;
}

/** The end of the bracket at `start`, brackets in strings left out; -1 when it is never closed. */
function closing(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let index = start; index < text.length; index++) {
    const char = text[index];
    if (inString) {
      if (char === "\\") index++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth === 0) return index + 1;
  }
  return -1;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
