import { expect, test } from "vitest";
import { sleep } from "../../kube/deadline.ts";
import { meanwhile } from "./meanwhile.ts";

const signal = new AbortController().signal;

test("something is done again and again until the work is done", async () => {
  let asked = 0;
  const work = async () => {
    while (asked < 3) await sleep(1);
    return "moved";
  };
  const { result, times } = await meanwhile(async () => void asked++, work, { signal, pauseMs: 1 });
  expect(result).toBe("moved");
  expect(times).toBeGreaterThanOrEqual(3);
  expect(times).toBe(asked);
});

test("its first error ends the work", async () => {
  const lost = async () => {
    throw new Error("no answer");
  };
  let aborted: unknown;
  const work = (own: AbortSignal) =>
    sleep(60_000, own).catch((reason: unknown) => {
      aborted = reason;
      throw reason;
    });
  await expect(meanwhile(lost, work, { signal, pauseMs: 1 })).rejects.toThrow("no answer");
  expect(aborted).toMatchObject({ message: "no answer" });
});

test("an error of the work ends the asking", async () => {
  let asked = 0;
  const work = async () => {
    throw new Error("blocked");
  };
  await expect(meanwhile(async () => void asked++, work, { signal, pauseMs: 1 })).rejects.toThrow("blocked");
  await sleep(20);
  const until = asked;
  await sleep(20);
  expect(asked).toBe(until);
});
