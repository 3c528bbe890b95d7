import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { endpointsInUse, forEachBounded, runAtEndpoint, Semaphore } from "./schedule.ts";

describe("Semaphore", () => {
  test("lets in as many as it has places, in order, and gives places back after failures", async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    let inside = 0;
    let peak = 0;
    const work = (id: number) =>
      semaphore.run(async () => {
        order.push(id);
        peak = Math.max(peak, ++inside);
        await setImmediate();
        inside--;
        if (id % 3 === 0) throw new Error("x");
      });
    const ids = Array.from({ length: 3_000 }, (_, id) => id);
    const settled = await Promise.allSettled(ids.map(work));
    expect(peak).toBe(2);
    expect(order).toEqual(ids);
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1_000);
    expect(await semaphore.run(async () => "free")).toBe("free");
  });
});

describe("an endpoint", () => {
  test("has its places for the whole process, and is forgotten when idle", async () => {
    const { signal } = new AbortController();
    let inside = 0;
    let peak = 0;
    const work = async () => {
      peak = Math.max(peak, ++inside);
      await setImmediate();
      inside--;
    };
    await Promise.all(Array.from({ length: 20 }, () => runAtEndpoint("a", 3, signal, work)));
    expect([peak, endpointsInUse()]).toEqual([3, 0]);
  });

  test("does not hold who is cut off while waiting, and passes the place on", async () => {
    const { signal } = new AbortController();
    const cut = new AbortController();
    const held = Promise.withResolvers<void>();
    const first = runAtEndpoint("a", 1, signal, () => held.promise);
    const second = runAtEndpoint("a", 1, cut.signal, async () => "never");
    const third = runAtEndpoint("a", 1, signal, async () => "third");
    cut.abort(new Error("cut"));
    await expect(second).rejects.toThrow("cut");
    held.resolve();
    await first;
    expect(await third).toBe("third");
    expect(endpointsInUse()).toBe(0);
  });
});

describe("forEachBounded", () => {
  test("takes items only when their turn comes", async () => {
    let taken = 0;
    let open = 0;
    let ahead = 0;
    function* items() {
      for (let item = 0; item < 200; item++) {
        taken++;
        yield item;
      }
    }
    let done = 0;
    await forEachBounded(items(), 5, async () => {
      open++;
      ahead = Math.max(ahead, taken - done);
      await setImmediate();
      open--;
      done++;
    });
    expect([done, open]).toEqual([200, 0]);
    expect(ahead).toBeLessThanOrEqual(5);
  });

  test("the first failure stops the taking, and is thrown after what was open has ended", async () => {
    const ended: number[] = [];
    const pending = forEachBounded([0, 1, 2, 3, 4, 5, 6, 7], 2, async (item) => {
      await setImmediate();
      if (item === 1) throw new Error("one");
      await setImmediate();
      ended.push(item);
    });
    await expect(pending).rejects.toThrow("one");
    expect(ended).toContain(0);
    expect(ended).not.toContain(7);
  });
});
