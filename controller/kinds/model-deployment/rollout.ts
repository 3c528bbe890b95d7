/*
 * Which revision serves, and how many pods each has: blue/green with gates, as a pure function of what is there. What
 * serves is read from the Service's own selector, so that a crash between two writes loses nothing.
 */

export interface RevisionState {
  /** Pods asked for. */
  readonly replicas: number;
  readonly ready: number;
  /** The Deployment's controller has seen what was asked for last. */
  readonly settled: boolean;
  /** It will not come up: the time for it is over. */
  readonly exhausted: boolean;
}

export type GateState =
  | { readonly state: "Passed" }
  /** Not known yet; `evaluating` when a run is under way, else what it waits for. */
  | { readonly state: "Pending"; readonly reason: string; readonly message: string }
  | { readonly state: "Failed"; readonly message: string };

export interface Stopped {
  readonly reason: string;
  readonly message: string;
}

export interface RolloutInput {
  readonly wanted: string;
  /** The revision that the Service selects. */
  readonly active: string | undefined;
  readonly strategy: "BlueGreen" | "Recreate";
  readonly desired: number;
  readonly revisions: ReadonlyMap<string, RevisionState>;
  /** Whether the wanted revision's own Service answers for the model. */
  readonly answers: boolean;
  readonly hasGates: boolean;
  readonly gates: GateState;
  /** Why the wanted revision was stopped before, if it was and nothing has changed since. */
  readonly stopped: Stopped | undefined;
  readonly trouble: Stopped | undefined;
  /** When the Service was moved last, in ms since the epoch. */
  readonly switchedAt: number | undefined;
  readonly drainMs: number;
  readonly now: number;
}

export interface RolloutPlan {
  /** What the Service is to select. */
  readonly serve: string | undefined;
  /** Pods by revision; a revision that is not here goes. */
  readonly replicas: ReadonlyMap<string, number>;
  readonly phase: "Serving" | "Starting" | "Evaluating" | "Blocked";
  readonly stopped?: Stopped;
  /** The Service moves with this decision. */
  readonly switches: boolean;
  /** When there is something to do without anything happening before, in ms. */
  readonly waitMs?: number;
}

/** Until a change of endpoints has reached every node. */
const SETTLE_MS = 5_000;

export function planRollout(input: RolloutInput): RolloutPlan {
  const { wanted, active } = input;
  return wanted === active ? steady(input) : changing(input);
}

/** The wanted revision serves. What served before stays until its requests had time to end. */
function steady({ wanted, desired, revisions, switchedAt, drainMs, now }: RolloutInput): RolloutPlan {
  const replicas = new Map([[wanted, desired]]);
  const left = switchedAt === undefined ? 0 : switchedAt + SETTLE_MS + drainMs - now;
  const former = [...revisions].filter(([revision]) => revision !== wanted);
  if (left > 0) for (const [revision, state] of former) replicas.set(revision, state.replicas);
  return {
    serve: wanted,
    replicas,
    phase: "Serving",
    switches: false,
    ...(left > 0 && former.length > 0 ? { waitMs: left } : {}),
  };
}

function changing(input: RolloutInput): RolloutPlan {
  const { wanted, active, desired, revisions, strategy, hasGates } = input;
  const state = revisions.get(wanted);
  // To be judged it must run, also where nothing is to run afterwards.
  const count = hasGates ? Math.max(1, desired) : desired;
  const stopped = stopReason(input, state);
  if (stopped) return plan(input, { count: 0, old: desired, phase: "Blocked", stopped });
  const up = state?.settled === true && state.ready >= count && (count === 0 || input.answers);
  const old = strategy === "Recreate" ? 0 : desired;
  if (!up) return plan(input, { count, old, phase: "Starting" });
  if (input.gates.state !== "Passed") return plan(input, { count, old, phase: "Evaluating" });
  const replicas = new Map([[wanted, desired]]);
  const former = active === undefined ? undefined : revisions.get(active);
  // No pod of the old revision ends at this moment: connections are still open to it.
  if (active !== undefined && former) replicas.set(active, former.replicas);
  return {
    serve: wanted,
    replicas,
    phase: "Serving",
    switches: true,
    waitMs: SETTLE_MS + input.drainMs,
  };
}

function stopReason(
  { gates, stopped, trouble }: RolloutInput,
  state: RevisionState | undefined,
): Stopped | undefined {
  if (gates.state === "Failed") return { reason: "GateFailed", message: gates.message };
  if (stopped) return stopped;
  if (!state?.exhausted) return undefined;
  return {
    reason: trouble?.reason ?? "StartupTimeout",
    message: trouble?.message ?? "it did not become ready within startupTimeout",
  };
}

function plan(
  { wanted, active }: RolloutInput,
  {
    count,
    old,
    phase,
    stopped,
  }: {
    readonly count: number;
    readonly old: number;
    readonly phase: RolloutPlan["phase"];
    readonly stopped?: Stopped;
  },
): RolloutPlan {
  const replicas = new Map([[wanted, count]]);
  if (active !== undefined) replicas.set(active, old);
  return {
    serve: active,
    replicas,
    phase,
    switches: false,
    ...(stopped ? { stopped } : {}),
  };
}
