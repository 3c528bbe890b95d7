/** Fields that differ between two runs that did the same. */
const DROPPED = new Set([
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "managedFields",
  "lastTransitionTime",
  "startedAt",
  "finishedAt",
  // A digest over a result that holds latencies.
  "result",
]);

/**
 * A value without what time and chance put into it.
 * @param names what to put in place of names that are new in each run, e.g. commit ids
 */
export function mask(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return maskText(value, names);
  if (Array.isArray(value)) return value.map((item) => mask(item, names));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key]) => !DROPPED.has(key))
    .map(([key, item]) => [key, key === "calls" ? sumOf(item) : mask(item, names)] as const);
  return Object.fromEntries(entries);
}

/** Which calls were paid before a crash and which after is no difference: together they are the same. */
function sumOf(calls: unknown): unknown {
  const { made, saved } = calls as { made: number; saved: number };
  return { total: made + saved };
}

/** "12 calls made, 12 saved, 0 repeated · cost unknown": what a run paid depends on what was saved before a crash. */
const CALLS = /(\d+) (?:model )?calls? made, (\d+) saved(, \d+ repeated · (cost unknown|[\d.]+ USD))?/g;

export function maskText(text: string, names: ReadonlyMap<string, string>): string {
  let masked = text;
  for (const [name, replacement] of names) {
    masked = masked.replaceAll(name, replacement);
    if (/^[0-9a-f]{40}$/.test(name)) masked = masked.replaceAll(name.slice(0, 8), replacement);
  }
  return masked
    .replace(/^\|[^|\n]*latency.*$/gm, "| LATENCY |")
    .replace(/\d+(\.\d+)? (ms|s)\b/g, "TIME")
    .replace(CALLS, (_, made: string, saved: string) => `${Number(made) + Number(saved)} calls`);
}
