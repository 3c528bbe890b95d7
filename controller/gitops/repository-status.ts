import type { RepositoryStatus } from "../../schemas/repository.ts";
import { formatLocation } from "../errors.ts";
import type { LoadError } from "./manifest.ts";
import type { Plan } from "./plan.ts";

/** What one sync came to; the conditions follow from it. */
export interface SyncResult {
  readonly commit: string;
  readonly branch: string;
  readonly resources: number;
  readonly errors: readonly LoadError[];
  readonly held: number;
  readonly conflicts: Plan["conflicts"];
  /** Refused by the API server, by `Kind/name`. */
  readonly refused: ReadonlyMap<string, string>;
  readonly pruneHeld: Plan["pruneHeld"];
}

/** What the Ready condition says. `stalled` means that a person has to do something. */
export interface Verdict {
  readonly ready: "True" | "False" | "Unknown";
  readonly stalled: boolean;
  readonly reason: string;
  readonly message: string;
}

/** What is said of a Repository with `spec.suspend`. */
export const SUSPENDED: Verdict = {
  ready: "Unknown",
  stalled: false,
  reason: "Suspended",
  message: "spec.suspend is true",
};

/** The most important thing to say about a sync. */
export function verdictOf(result: SyncResult): Verdict {
  const at = `${result.branch}@${result.commit.slice(0, 8)}`;
  const bad = (reason: string, message: string): Verdict => ({
    ready: "False",
    stalled: true,
    reason,
    message: clipped(message, 2048),
  });
  const [error, ...more] = result.errors;
  if (error) {
    const others = more.length > 0 ? ` (and ${more.length} more)` : "";
    const held = result.held > 0 ? `; ${result.held} objects are held` : "";
    return bad(
      "InvalidManifests",
      `${formatLocation(error.location)}: ${error.message}${others}${held}, at ${at}`,
    );
  }
  const [conflict] = result.conflicts;
  if (conflict) {
    return bad(
      "Conflict",
      `${conflict.key} exists and belongs to ${conflict.owner}: delete it, or rename the one in git`,
    );
  }
  const [refused] = result.refused;
  if (refused) return bad("ApplyFailed", `${refused[0]}: ${refused[1]}`);
  if (result.pruneHeld?.reason === "DeletionBudgetExceeded")
    return bad("DeletionBudgetExceeded", result.pruneHeld.message);
  // Whoever set spec.prune to false knows it; any other reason is news.
  const { pruneHeld } = result;
  const kept = pruneHeld && pruneHeld.reason !== "Disabled" ? `; ${pruneHeld.message}` : "";
  return {
    ready: "True",
    stalled: false,
    reason: "Synced",
    message: clipped(`${result.resources} objects as in ${at}${kept}`, 2048),
  };
}

/** The errors as the status shows them: at most 20. */
export function statusErrors(errors: readonly LoadError[]): NonNullable<RepositoryStatus["errors"]> {
  return errors.slice(0, 20).map(({ location, message }) => ({
    file: clipped(location.file, 1024),
    ...(location.line === undefined ? {} : { line: location.line }),
    ...(location.column === undefined ? {} : { column: location.column }),
    ...(location.field ? { field: clipped(location.field, 512) } : {}),
    message: clipped(message, 2048),
  }));
}

/** Not cut inside a character: half of one comes back from the API server as another, and never equal. */
const clipped = (text: string, length: number) => text.slice(0, length).toWellFormed();
