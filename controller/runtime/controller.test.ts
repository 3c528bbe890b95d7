import { describe, expect, test, vi } from "vitest";
import { KubeError } from "../kube/kube-error.ts";
import { createLogger } from "../log.ts";
import { Controller, type Reconciler } from "./controller.ts";

const log = createLogger("silent");
const never = new AbortController().signal;

function started(reconcile: Reconciler["reconcile"], workers = 1) {
  const controller = new Controller({ reconciler: { name: "test", reconcile }, workers, log });
  const done = controller.run(never);
  return {
    queue: controller.queue,
    stop: () => {
      controller.queue.close();
      return done;
    },
  };
}

describe("controller", () => {
  test("what throws comes again with its count of failures; what works is forgiven", async () => {
    const failures: number[] = [];
    const { queue, stop } = started(async (_key, _signal, count) => {
      failures.push(count);
      if (failures.length < 3) throw new Error("not yet");
      return undefined;
    });
    queue.add("a");
    await vi.waitFor(() => expect(failures).toEqual([0, 1, 2]));
    await vi.waitFor(() => expect(queue.failures("a")).toBe(0));
    await stop();
  });

  test("a requeue comes once and counts as no failure", async () => {
    let runs = 0;
    const { queue, stop } = started(async () => (++runs === 1 ? { requeueAfterMs: 20 } : undefined));
    queue.add("a");
    await vi.waitFor(() => expect(runs).toBe(2));
    expect(queue.failures("a")).toBe(0);
    await stop();
  });

  test("many workers, one at a time for each key", async () => {
    const now = new Map<string, number>();
    let most = 0;
    let total = 0;
    const { queue, stop } = started(async (key) => {
      expect(now.get(key) ?? 0).toBe(0);
      now.set(key, 1);
      most = Math.max(most, [...now.values()].filter(Boolean).length);
      await new Promise((resolve) => setTimeout(resolve, 10));
      now.set(key, 0);
      total++;
      return undefined;
    }, 3);
    for (const key of ["a", "b", "c", "d"]) queue.add(key);
    await new Promise((resolve) => setTimeout(resolve, 5));
    queue.add("a");
    await vi.waitFor(() => expect(total).toBe(5));
    expect(most).toBe(3);
    await stop();
  });

  test("closing waits for what is under way and starts nothing more", async () => {
    const gate = Promise.withResolvers<undefined>();
    const keys: string[] = [];
    const { queue, stop } = started(async (key) => {
      keys.push(key);
      return gate.promise;
    });
    queue.add("a");
    queue.add("b");
    await vi.waitFor(() => expect(keys).toEqual(["a"]));
    let stopped = false;
    const stopping = stop().then(() => {
      stopped = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(stopped).toBe(false);
    gate.resolve(undefined);
    await stopping;
    expect(keys).toEqual(["a"]);
  });

  test("says in the metrics how it ended", async () => {
    const seen: string[] = [];
    const answers = [new KubeError(409, "Conflict", ""), new Error("x"), undefined];
    const controller = new Controller({
      reconciler: {
        name: "test",
        reconcile: async () => {
          const answer = answers.shift();
          if (answer) throw answer;
          return { result: "changed" };
        },
      },
      workers: 1,
      log,
      metrics: {
        observeReconcile: (kind: string, result: string) => seen.push(`${kind} ${result}`),
      } as never,
    });
    const done = controller.run(never);
    controller.queue.add("a");
    await vi.waitFor(() => expect(seen).toEqual(["test conflict", "test error", "test changed"]));
    controller.queue.close();
    await done;
  });
});
