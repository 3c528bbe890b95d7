import { durationMs } from "../../../schemas/common.ts";
import {
  MONITOR_STATES,
  type MonitorSignal,
  type MonitorState,
  type SignalStatus,
  type Thresholds,
  type Transition,
} from "../../../schemas/monitor.ts";
import { timestamp } from "../../runtime/status.ts";

/** What measuring a signal gave. */
export type Reading =
  | {
      readonly kind: "value";
      readonly value: number;
      /** Bounds of an interval around the value: a limit is passed only where the whole interval lies beyond it. */
      readonly lower?: number;
      readonly upper?: number;
      /** What the value is of; shown beside the state. */
      readonly message?: string;
    }
  /** It was measured, and there is nothing: the signal's `noData` decides. */
  | { readonly kind: "none"; readonly reason: string; readonly message: string }
  /** Not measured yet, as after a restart: what was known stands. */
  | { readonly kind: "unknown" };

/** A value that moves is brought up to date this often while the state stays, so that watching is quiet. */
const REFRESH_MS = 600_000;
const MAX_MESSAGE = 512;

const rank = (state: MonitorState) => MONITOR_STATES.indexOf(state);

/** The worst of some states; undefined for none. */
export function worstOf(states: readonly MonitorState[]): MonitorState | undefined {
  return states.toSorted((a, b) => rank(b) - rank(a))[0];
}

/** What a value means by itself, before `for`. */
export function stateOfValue(
  { operator, warning, alert }: Thresholds,
  { value, lower = value, upper = value }: { value: number; lower?: number; upper?: number },
): MonitorState {
  const beyond = (limit: number | undefined) =>
    limit !== undefined && (operator === "Below" ? upper < limit : lower > limit);
  return beyond(alert) ? "ALERT" : beyond(warning) ? "WARNING" : "OK";
}

const NO_DATA_STATES = { OK: "OK", NoData: "NO_DATA", Alert: "ALERT" } as const;

/**
 * The signal's state after a reading. A worse state counts once it has lasted for the signal's `for`; a better one at
 * once. @returns undefined while the signal has never been measured
 */
export function judge(
  signal: MonitorSignal,
  reading: Reading,
  before: SignalStatus | undefined,
  now: Date,
): SignalStatus | undefined {
  if (reading.kind === "unknown") return before;
  const observed =
    reading.kind === "value" ? stateOfValue(signal.thresholds, reading) : NO_DATA_STATES[signal.noData];
  const current = before?.state ?? "OK";
  const pending = pendingStates(signal, observed, current, before, now);
  const lasted = pending.filter(({ since }) => now.getTime() - Date.parse(since) >= durationMs(signal.for));
  const state = rank(observed) <= rank(current) ? observed : (worstOf(lasted.map((p) => p.state)) ?? current);
  const waiting = pending.filter((each) => rank(each.state) > rank(state));
  const changed = before === undefined || state !== before.state;
  return {
    name: signal.name,
    state,
    since: changed ? timestamp(now) : before.since,
    ...shown(reading, changed ? undefined : before, now),
    ...(waiting.length > 0 ? { pending: waiting } : {}),
  };
}

/** The states beyond the current one that hold now, each with the time since when. */
function pendingStates(
  signal: MonitorSignal,
  observed: MonitorState,
  current: MonitorState,
  before: SignalStatus | undefined,
  now: Date,
): { state: MonitorState; since: string }[] {
  // Who alerts also warns, so that a value which swings between the two still warns in time.
  const both = observed === "ALERT" && signal.thresholds.warning !== undefined;
  const holding: MonitorState[] = both ? ["WARNING", "ALERT"] : [observed];
  return holding
    .filter((state) => rank(state) > rank(current))
    .map((state) => {
      const known = before?.pending?.find((each) => each.state === state);
      return { state, since: known?.since ?? timestamp(now) };
    });
}

/** Value and message as the status shows them: what is shown already stays while it says the same. */
function shown(
  reading: Exclude<Reading, { kind: "unknown" }>,
  before: SignalStatus | undefined,
  now: Date,
): Pick<SignalStatus, "value" | "observedAt" | "message"> {
  if (reading.kind === "none") {
    // The words of a failure may hold a request's id; the same failure is not news.
    const prefix = `${reading.reason}: `;
    const message = before?.message?.startsWith(prefix) ? before.message : `${prefix}${reading.message}`;
    return { message: message.slice(0, MAX_MESSAGE) };
  }
  const fresh = {
    value: formatValue(reading.value),
    observedAt: timestamp(now),
    ...(reading.message === undefined ? {} : { message: reading.message.slice(0, MAX_MESSAGE) }),
  };
  if (before?.value === undefined || before.observedAt === undefined) return fresh;
  const recent = now.getTime() - Date.parse(before.observedAt) < REFRESH_MS;
  if (!recent && before.value !== fresh.value) return fresh;
  const { value, observedAt, message } = before;
  return { value, observedAt, ...(message === undefined ? {} : { message }) };
}

/** The transitions that lead from the former statuses to these, numbered on. */
export function transitionsOf(
  before: readonly SignalStatus[],
  after: readonly SignalStatus[],
  lastId: number,
  now: Date,
): Transition[] {
  const known = new Map(before.map((signal) => [signal.name, signal.state]));
  return after
    .filter(({ name, state }) => known.get(name) !== state)
    .map(({ name, state, value }, index) => {
      const from = known.get(name);
      return {
        id: lastId + index + 1,
        time: timestamp(now),
        signal: name,
        ...(from === undefined ? {} : { from }),
        to: state,
        ...(value === undefined ? {} : { value }),
      };
    });
}

/** Three significant digits, so that a measurement that has not moved looks the same. */
export function formatValue(value: number): string {
  return String(Number(value.toPrecision(3)));
}
