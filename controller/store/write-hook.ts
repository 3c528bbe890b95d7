/**
 * Called around each write, so that a test can kill the process exactly there.
 * Sites: `intent/begin/<Kind>.<effect>`, `intent/finish/<Kind>.<effect>`, `intent/forget/<Kind>`,
 * `result/<bucket>`, `applied/set`, `applied/delete`, `blob/put`, `report/put/<state>`,
 * `report/upload/<Kind>`, `report/forget`.
 */
export type WriteHook = (site: string, phase: "before" | "after") => void;

/** Runs a write with the hook called before and, when it did not throw, after. */
export function hooked<T>(hook: WriteHook | undefined, site: string, write: () => T): T {
  hook?.(site, "before");
  const value = write();
  hook?.(site, "after");
  return value;
}
