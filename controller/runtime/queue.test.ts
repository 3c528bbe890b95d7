import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";
import { WorkQueue } from "./queue.ts";
import { controllerRateLimiter } from "./rate-limit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What a worker would get now, without waiting. */
async function drain(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = (await queue.get())!;
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

describe("dirty and processing", () => {
  test("a key is in the queue once, in the order of its first addition", async () => {
    const queue = new WorkQueue();
    for (const key of ["a", "b", "a"]) queue.add(key);
    expect(await drain(queue)).toEqual(["a", "b"]);
  });

  test("a key added while it is worked on comes again, after done and not before", async () => {
    const queue = new WorkQueue();
    queue.add("a");
    expect(await queue.get()).toBe("a");
    queue.add("a");
    queue.add("a");
    expect(queue.depth).toBe(0);
    queue.done("a");
    expect(await drain(queue)).toEqual(["a"]);
  });

  test("a waiting worker gets the key, and nobody else does meanwhile", async () => {
    const queue = new WorkQueue();
    const first = queue.get();
    const second = queue.get();
    queue.add("a");
    queue.add("a");
    expect(await first).toBe("a");
    queue.add("b");
    expect(await second).toBe("b");
    expect(queue.processing).toBe(2);
  });

  test("thousands of keys keep their order", async () => {
    const queue = new WorkQueue();
    const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}`);
    for (const key of keys) queue.add(key);
    expect(await drain(queue)).toEqual(keys);
    expect(queue.depth).toBe(0);
  });

  test("close ends waiting workers and refuses more", async () => {
    const queue = new WorkQueue();
    const waiting = queue.get();
    queue.addAfter("late", 10);
    queue.close();
    queue.add("a");
    await vi.advanceTimersByTimeAsync(100);
    expect(await waiting).toBeUndefined();
    expect(await queue.get()).toBeUndefined();
    expect(queue.depth).toBe(0);
  });
});

describe("delays", () => {
  test.each([
    { name: "the earlier replaces the later", delays: [100, 50], at: 50 },
    { name: "the later does not replace the earlier", delays: [50, 100], at: 50 },
    { name: "zero is now", delays: [0], at: 0 },
    { name: "negative is now", delays: [-5], at: 0 },
    { name: "more than a timer can hold", delays: [2 ** 31 + 5_000], at: 2 ** 31 + 5_000 },
  ])("$name", async ({ delays, at }) => {
    const queue = new WorkQueue();
    for (const ms of delays) queue.addAfter("a", ms);
    if (at > 0) {
      await vi.advanceTimersByTimeAsync(at - 1);
      expect(queue.depth).toBe(0);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(await drain(queue)).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(queue.depth).toBe(0);
  });

  test("backoff doubles from 5 ms until it is forgotten", async () => {
    const queue = new WorkQueue();
    for (const wait of [5, 10, 20, 40]) {
      queue.addRateLimited("a");
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(queue.depth).toBe(0);
      await vi.advanceTimersByTimeAsync(1);
      expect(await drain(queue)).toEqual(["a"]);
    }
    expect(queue.failures("a")).toBe(4);
    queue.forget("a");
    queue.addRateLimited("a");
    await vi.advanceTimersByTimeAsync(5);
    expect(await drain(queue)).toEqual(["a"]);
  });
});

describe("rate limiter", () => {
  test("an item waits 1000 s at most", () => {
    const limiter = controllerRateLimiter({ burst: 1e9 });
    let wait = 0;
    for (let index = 0; index < 40; index++) wait = limiter.next("a", 0);
    expect(wait).toBe(1_000_000);
  });

  test("100 at once, then 10 a second over all items, and the bucket fills again", () => {
    const limiter = controllerRateLimiter();
    const waits = Array.from({ length: 103 }, (_, index) => limiter.next(`k${index}`, 0));
    expect(waits.slice(0, 100).every((wait) => wait === 5)).toBe(true);
    expect(waits.slice(100)).toEqual([100, 200, 300]);
    expect(limiter.next("after", 20_000)).toBe(5);
  });
});

test("the system clock counts up and can be cancelled", async () => {
  const fired: number[] = [];
  const start = systemClock.now();
  systemClock.after(10, () => fired.push(systemClock.now() - start));
  systemClock.after(5, () => fired.push(-1))();
  await vi.advanceTimersByTimeAsync(20);
  expect(fired).toEqual([10]);
});
