import { describe, expect, test } from "vitest";
import { type MonitorSignal, type SignalStatus, signal as signalSchema } from "../../../schemas/monitor.ts";
import { later, NOW } from "../../../test/kind-objects.ts";
import { formatValue, judge, type Reading, stateOfValue, transitionsOf, worstOf } from "./state.ts";

const signal = (changes: object = {}): MonitorSignal =>
  signalSchema.parse({
    name: "latency",
    type: "Probe",
    probe: { measure: "latency" },
    thresholds: { warning: 100, alert: 200 },
    ...changes,
  });
const value = (number: number): Reading => ({ kind: "value", value: number });
const none: Reading = { kind: "none", reason: "ModelTimeout", message: "no answer" };

/** The states after readings that come a minute apart. */
function follow(of: MonitorSignal, readings: readonly Reading[]): SignalStatus[] {
  const seen: SignalStatus[] = [];
  for (const [index, reading] of readings.entries()) {
    const next = judge(of, reading, seen.at(-1), later(index * 60_000));
    if (next) seen.push(next);
  }
  return seen;
}
const states = (list: readonly SignalStatus[]) => list.map(({ state }) => state);

describe("a value", () => {
  test.each([
    ["Above", 100, "OK"],
    ["Above", 100.1, "WARNING"],
    ["Above", 200, "WARNING"],
    ["Above", 200.1, "ALERT"],
    ["Below", 100, "OK"],
    ["Below", 99.9, "WARNING"],
    ["Below", 49.9, "ALERT"],
  ] as const)("%s: %d is %s", (operator, number, state) => {
    const limits = operator === "Above" ? { warning: 100, alert: 200 } : { warning: 100, alert: 50 };
    expect(stateOfValue({ operator, ...limits }, { value: number })).toBe(state);
  });

  test("with an interval counts only where all of it is beyond the limit", () => {
    const limits = { operator: "Below", alert: 0 } as const;
    expect(stateOfValue(limits, { value: -0.1, lower: -0.25, upper: 0.05 })).toBe("OK");
    expect(stateOfValue(limits, { value: -0.1, lower: -0.15, upper: -0.05 })).toBe("ALERT");
    const above = { operator: "Above", alert: 0 } as const;
    expect(stateOfValue(above, { value: 0.1, lower: -0.05, upper: 0.25 })).toBe("OK");
    expect(stateOfValue(above, { value: 0.1, lower: 0.05, upper: 0.25 })).toBe("ALERT");
  });

  test("one limit is enough", () => {
    expect(stateOfValue({ operator: "Above", warning: 1 }, { value: 9 })).toBe("WARNING");
    expect(stateOfValue({ operator: "Above", alert: 1 }, { value: 0.5 })).toBe("OK");
  });
});

describe("for", () => {
  const slow = signal({ for: "2m" });

  test("a worse state counts once it has lasted", () => {
    const seen = follow(slow, [value(150), value(150), value(150)]);
    expect(states(seen)).toEqual(["OK", "OK", "WARNING"]);
    expect(seen[1]?.pending).toEqual([{ state: "WARNING", since: "2030-01-01T00:00:00Z" }]);
    expect(seen[2]?.pending).toBeUndefined();
  });

  test("who alerts warns as well, and each limit has its own time", () => {
    const seen = follow(slow, [value(150), value(250), value(250), value(250)]);
    expect(states(seen)).toEqual(["OK", "OK", "WARNING", "ALERT"]);
  });

  test("begins anew when it was better in between", () => {
    expect(states(follow(slow, [value(150), value(50), value(150), value(150), value(150)]))).toEqual([
      "OK",
      "OK",
      "OK",
      "OK",
      "WARNING",
    ]);
  });

  test("getting better counts at once", () => {
    expect(states(follow(slow, [value(250), value(250), value(250), value(150), value(50)]))).toEqual([
      "OK",
      "OK",
      "ALERT",
      "WARNING",
      "OK",
    ]);
  });

  test("without it the state follows the reading", () => {
    expect(states(follow(signal(), [value(50), value(150), value(250), value(50)]))).toEqual([
      "OK",
      "WARNING",
      "ALERT",
      "OK",
    ]);
  });
});

describe("no data", () => {
  test.each([
    ["OK", "OK"],
    ["NoData", "NO_DATA"],
    ["Alert", "ALERT"],
  ])("noData: %s is %s, and says why", (noData, state) => {
    expect(follow(signal({ noData }), [value(50), none])[1]).toMatchObject({
      state,
      message: "ModelTimeout: no answer",
    });
  });

  test("nothing measured yet leaves what was known", () => {
    const [known] = follow(signal(), [value(150)]);
    expect(judge(signal(), { kind: "unknown" }, known, later(60_000))).toBe(known);
    expect(judge(signal(), { kind: "unknown" }, undefined, NOW)).toBeUndefined();
  });
});

describe("quiet", () => {
  test("a value that moves inside its state is written every ten minutes at most", () => {
    const readings = Array.from({ length: 12 }, (_, minute) => value(50 + minute));
    const seen = follow(signal(), readings);
    expect(seen.map((each) => each.value)).toEqual([...Array(10).fill("50"), "60", "60"]);
    expect(seen[9]).toEqual(seen[0]);
  });

  test("a value that stays is never written again", () => {
    const seen = follow(
      signal(),
      Array.from({ length: 30 }, () => value(50.001)),
    );
    expect(new Set(seen.map((each) => JSON.stringify(each))).size).toBe(1);
  });

  test("the same failure in other words is not news, another failure is", () => {
    const other: Reading = { ...none, message: "no answer, request 2" };
    const seen = follow(signal(), [none, other, { ...none, reason: "ModelUnavailable" }]);
    expect(seen.map(({ message }) => message)).toEqual([
      "ModelTimeout: no answer",
      "ModelTimeout: no answer",
      "ModelUnavailable: no answer",
    ]);
  });

  test("a change of state shows the value that made it", () => {
    expect(follow(signal(), [value(50), value(250)])[1]).toMatchObject({ state: "ALERT", value: "250" });
  });
});

test("transitions are numbered on, the first state of a signal among them", () => {
  const status = (name: string, state: SignalStatus["state"]): SignalStatus => ({ name, state, since: "" });
  const list = transitionsOf(
    [status("a", "OK"), status("b", "OK")],
    [status("a", "ALERT"), status("b", "OK"), status("c", "WARNING")],
    7,
    NOW,
  );
  expect(list).toEqual([
    { id: 8, time: "2030-01-01T00:00:00Z", signal: "a", from: "OK", to: "ALERT" },
    { id: 9, time: "2030-01-01T00:00:00Z", signal: "c", to: "WARNING" },
  ]);
});

test("the worst state", () => {
  expect(worstOf(["OK", "NO_DATA", "OK"])).toBe("NO_DATA");
  expect(worstOf(["WARNING", "NO_DATA", "ALERT"])).toBe("ALERT");
  expect(worstOf([])).toBeUndefined();
});

test("values have three significant digits", () => {
  expect([0, 0.98765, 1234.5, 0.000012345].map(formatValue)).toEqual(["0", "0.988", "1230", "0.0000123"]);
});
