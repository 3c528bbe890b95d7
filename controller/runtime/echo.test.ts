import { expect, test } from "vitest";
import { EchoFilter } from "./echo.ts";

test("an event of our own write is an echo, whether it comes after the answer or before", () => {
  const echoes = new EchoFilter();
  expect(echoes.isEcho("a", "1")).toBe(false);
  echoes.begin("a");
  expect(echoes.end("a", "2")).toBe(false);
  expect(echoes.isEcho("a", "2")).toBe(true);
  expect(echoes.isEcho("a", "3")).toBe(false);
  echoes.begin("a");
  expect(echoes.isEcho("a", "4")).toBe(true);
  expect(echoes.end("a", "4")).toBe(false);
});

test("somebody else's event during a write is reported at its end", () => {
  const echoes = new EchoFilter();
  echoes.begin("a");
  echoes.isEcho("a", "3");
  echoes.isEcho("a", "4");
  expect(echoes.end("a", "4")).toBe(true);
  echoes.begin("a");
  echoes.isEcho("a", "5");
  expect(echoes.end("a", undefined)).toBe(true);
});
