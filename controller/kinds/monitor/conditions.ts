import type { Condition } from "../../../schemas/common.ts";
import type { ActionStatus, SignalStatus } from "../../../schemas/monitor.ts";
import { condition } from "../../runtime/conditions.ts";
import type { Reading } from "./state.ts";

/** Whether a signal alerts; the reason names the first that does. */
export function alertingCondition(signals: readonly SignalStatus[]): Condition {
  const alerts = signals.filter(({ state }) => state === "ALERT");
  const warnings = signals.filter(({ state }) => state === "WARNING");
  const [first] = alerts;
  if (first) return condition("Alerting", "True", camelCase(first.name), `in ALERT: ${namesOf(alerts)}`);
  if (warnings.length > 0)
    return condition("Alerting", "False", "OnlyWarnings", `in WARNING: ${namesOf(warnings)}`);
  return condition("Alerting", "False", "NoAlert", "no signal is beyond a limit");
}

/** Whether every signal could be measured. */
export function telemetryCondition(
  signals: readonly SignalStatus[],
  readings: ReadonlyMap<string, Reading>,
): Condition {
  // A state without a value says why in its message; what is not measured yet keeps what it said.
  const silent = signals.filter(
    ({ name, value }) => readings.get(name)?.kind === "none" || value === undefined,
  );
  if (signals.length === 0) return condition("TelemetryAvailable", "Unknown", "Measuring", "no reading yet");
  if (silent.length === 0)
    return condition("TelemetryAvailable", "True", "Measured", "every signal that was measured has a value");
  return condition(
    "TelemetryAvailable",
    "False",
    "NoReadings",
    silent.map(({ name, message = "nothing" }) => `${name}: ${message}`).join("; "),
  );
}

/** Whether everybody was told; absent where there is nobody to tell. */
export function actionsCondition(actions: readonly ActionStatus[]): Condition[] {
  if (actions.length === 0) return [];
  const failed = actions.filter(({ reason }) => reason !== undefined);
  const [first] = failed;
  if (!first) return [condition("ActionsDelivered", "True", "Delivered", "every action does what it should")];
  const message = failed.map(({ name, message = "" }) => `${name}: ${message}`).join("; ");
  return [condition("ActionsDelivered", "False", first.reason ?? "ActionFailed", message)];
}

const namesOf = (signals: readonly SignalStatus[]) =>
  signals.map(({ name, value }) => (value === undefined ? name : `${name} (${value})`)).join(", ");

/** A condition's reason is a CamelCase word: `latency-p95` becomes LatencyP95. */
export function camelCase(name: string): string {
  const word = name
    .split(/[^a-z0-9]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join("");
  return /^[A-Z]/.test(word) ? word : `Signal${word}`;
}
