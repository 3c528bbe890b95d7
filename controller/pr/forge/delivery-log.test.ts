import { expect, it } from "vitest";
import { DeliveryLog } from "./delivery-log.ts";

it("takes each once and forgets the one not seen for longest", () => {
  const log = new DeliveryLog(2);
  expect([log.add("a"), log.add("b"), log.add("a")]).toEqual([true, true, false]);
  expect(log.add("c")).toBe(true);
  expect(log.add("a")).toBe(false);
  expect(log.add("b")).toBe(true);
});

it("takes one again that could not be done", () => {
  const log = new DeliveryLog();
  log.add("a");
  log.forget("a");
  expect(log.add("a")).toBe(true);
});
