import { expect, it } from "vitest";
import { withoutUnmeasured } from "./chain-state.ts";

const time = "2026-01-01T00:00:00Z";
const unmeasured = { id: 1, time, signal: "quality", to: "OK" };
const monitor = (history: object[], delivered: number) => ({
  kind: "Monitor",
  status: { history, actions: [{ name: "hook", delivered }] },
});

it("a state without a value before the first replay is no difference, what follows from a value is", () => {
  const alert = { time, signal: "quality", to: "ALERT", value: "0.667" };
  const straight = withoutUnmeasured(monitor([{ id: 1, ...alert }], 1));
  expect(withoutUnmeasured(monitor([{ id: 2, from: "OK", ...alert }, unmeasured], 2))).toEqual(straight);
  expect(withoutUnmeasured(monitor([{ id: 2, from: "OK", ...alert }, unmeasured], 1))).not.toEqual(straight);
  const later = { ...unmeasured, id: 3, from: "ALERT" };
  const gone = withoutUnmeasured(monitor([later, { id: 2, from: "OK", ...alert }, unmeasured], 3));
  expect(gone).toEqual(
    monitor(
      [
        { ...later, id: 2 },
        { id: 1, ...alert },
      ],
      2,
    ),
  );
});

it("leaves other kinds as they are", () => {
  const suite = { kind: "EvalSuite", status: { score: "66.7%" } };
  expect(withoutUnmeasured(suite)).toBe(suite);
});
