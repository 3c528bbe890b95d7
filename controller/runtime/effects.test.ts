import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SlipwayError } from "../errors.ts";
import type { Json } from "../graph/canonical.ts";
import { createLogger } from "../log.ts";
import { openStateStore } from "../store/open.ts";
import type { StateStore } from "../store/store.ts";
import { type EffectOwner, EffectRunner, ownerName } from "./effects.ts";
import type { EffectContext, EffectRequest } from "./kind.ts";

const owner: EffectOwner = { ref: { kind: "Toy", namespace: "a", name: "b" }, uid: "u1" };
const request = (over: Partial<EffectRequest> = {}): EffectRequest => ({
  name: "work",
  inputDigest: "d1",
  input: { n: 1 },
  attempt: 1,
  durable: true,
  ...over,
});

/** A handler whose calls the test ends by hand. */
function byHand() {
  const calls: { input: Json; context: EffectContext; end: PromiseWithResolvers<Json> }[] = [];
  const handler = (input: Json, context: EffectContext) => {
    const end = Promise.withResolvers<Json>();
    calls.push({ input, context, end });
    context.signal.addEventListener("abort", () => end.reject(context.signal.reason));
    return end.promise;
  };
  return { calls, handler };
}

let dir: string;
let store: StateStore;
let woken: number;

function runner(
  handler: (input: Json, context: EffectContext) => Promise<Json>,
  concurrency = 8,
): EffectRunner {
  return new EffectRunner({
    intents: store.intents,
    handlers: (kind) => (kind === "Toy" ? { work: handler, other: handler } : undefined),
    wake: () => woken++,
    log: createLogger("silent"),
    concurrency,
  });
}

/** Lets everything that is ready run. */
const settle = () => vi.advanceTimersByTimeAsync(0);
const read = (effects: EffectRunner) => effects.outcome(owner, "work", "d1");

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-effects-"));
  store = await openStateStore(dir, { now: () => Date.now() });
  woken = 0;
  vi.useFakeTimers();
});
afterEach(async () => {
  vi.useRealTimers();
  await store.close();
  await rm(dir, { recursive: true });
});

describe("one attempt", () => {
  test("runs once however often it is asked for, and wakes its object at the end", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler);
    for (let index = 0; index < 3; index++) await effects.retain(owner, [request()]);
    await settle();
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      input: { n: 1 },
      context: { attempt: 1, recovered: false, object: owner.ref, owner: ownerName(owner) },
    });
    expect(read(effects)).toMatchObject({ state: "Running", attempt: 1 });
    expect(store.intents.unfinished()).toHaveLength(1);
    expect(woken).toBe(0);
    calls[0]!.end.resolve({ ok: true });
    await settle();
    expect(read(effects)).toMatchObject({ state: "Succeeded", output: { ok: true } });
    expect(woken).toBe(1);
    expect(store.intents.unfinished()).toEqual([]);
    await effects.retain(owner, [request()]);
    await settle();
    expect(calls).toHaveLength(1);
  });

  test.each([
    [
      "a SlipwayError",
      new SlipwayError("QuotaExceeded", "no", { retryable: true }),
      { code: "QuotaExceeded", message: "no", retryable: true },
    ],
    [
      "one with a hint, which is what its reader can do",
      new SlipwayError("QuotaExceeded", "no", { hint: "ask for less" }),
      { code: "QuotaExceeded", message: "no (ask for less)", retryable: false },
    ],
    ["another error", new TypeError("oops"), { code: "InternalError", message: "oops", retryable: true }],
  ])("that throws %s has failed", async (_, thrown, error) => {
    const effects = runner(() => Promise.reject(thrown));
    await effects.retain(owner, [request()]);
    await settle();
    expect(read(effects)).toMatchObject({ state: "Failed", error });
    expect(store.intents.latest("Toy/a/b/u1", "work", "d1")?.error).toEqual(error);
  });

  test("whose effect is unknown, or whose answer is not JSON, has failed", async () => {
    const effects = runner(async () => Number.NaN);
    await effects.retain(owner, [request(), request({ name: "none", durable: false })]);
    await settle();
    expect(read(effects)?.error?.message).toContain("no JSON form");
    expect(effects.outcome(owner, "none", "d1")?.error?.code).toBe("UnknownEffect");
  });

  test("that is not durable leaves no trace in the log", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler);
    await effects.retain(owner, [request({ durable: false })]);
    await settle();
    calls[0]!.end.resolve(1);
    await settle();
    expect(store.intents.objects()).toEqual([]);
    expect(read(effects)?.output).toBe(1);
  });

  test("does not start when its intent cannot be written", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler);
    vi.spyOn(store.intents, "begin").mockRejectedValue(new Error("disk full"));
    await effects.retain(owner, [request()]);
    await settle();
    expect(calls).toEqual([]);
    expect(read(effects)?.error).toMatchObject({ code: "StateUnwritable", retryable: true });
  });
});

describe("attempts", () => {
  test("the next one runs after a failure, not at once, and later than the one before", async () => {
    let calls = 0;
    const effects = runner(async () => {
      calls++;
      throw new SlipwayError("Again", "", { retryable: true });
    });
    const times: number[] = [];
    for (let attempt = 1; attempt <= 4; attempt++) {
      const start = performance.now();
      await effects.retain(owner, [request({ attempt })]);
      await settle();
      while (calls < attempt) await vi.advanceTimersByTimeAsync(10);
      await settle();
      times.push(performance.now() - start);
      expect(read(effects)).toMatchObject({ state: "Failed", attempt });
    }
    expect(times).toEqual([0, 100, 200, 400]);
  });

  test("an earlier one than the latest is not run again", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler);
    await effects.retain(owner, [request({ attempt: 2 })]);
    await settle();
    calls[0]!.end.resolve(2);
    await settle();
    await effects.retain(owner, [request({ attempt: 1 })]);
    await settle();
    expect(calls).toHaveLength(1);
    expect(read(effects)).toMatchObject({ attempt: 2, output: 2 });
  });
});

describe("what nobody asks for any more", () => {
  test("is aborted, cancelled in the log, and has no outcome; asked for again, it knows it was begun", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler);
    await effects.retain(owner, [request()]);
    await settle();
    await vi.advanceTimersByTimeAsync(5);
    await effects.retain(owner, [request({ inputDigest: "d2" })]);
    await settle();
    expect(calls[0]!.context.signal.aborted).toBe(true);
    expect(calls[1]!.context.signal.aborted).toBe(false);
    expect(read(effects)).toBeUndefined();
    expect(store.intents.unfinished()).toMatchObject([{ inputDigest: "d2" }]);
    await effects.retain(owner, [request()]);
    await settle();
    expect(calls[2]!.context.recovered).toBe(true);
    expect(read(effects)?.state).toBe("Running");
    calls[2]!.end.resolve("done");
    await settle();
    expect(store.intents.latest("Toy/a/b/u1", "work", "d1")?.output).toBe("done");
  });

  test("does not overwrite what came after it when it ends late", async () => {
    const ends: PromiseWithResolvers<Json>[] = [];
    const effects = runner(() => {
      ends.push(Promise.withResolvers<Json>());
      return ends.at(-1)!.promise; // deaf to the signal
    });
    await effects.retain(owner, [request()]);
    await settle();
    await effects.retain(owner, [request({ attempt: 2 })]);
    await settle();
    ends[1]!.resolve("new");
    await settle();
    ends[0]!.resolve("old");
    await settle();
    expect(read(effects)).toMatchObject({ attempt: 2, output: "new" });
    expect(woken).toBe(1);
  });

  test("is not begun when it still waited for room", async () => {
    const { calls, handler } = byHand();
    const effects = runner(handler, 1);
    await effects.retain(owner, [request({ inputDigest: "x" }), request({ inputDigest: "y" })]);
    await settle();
    await effects.retain(owner, [request({ inputDigest: "x" })]);
    calls[0]!.end.resolve(1);
    await settle();
    expect(calls).toHaveLength(1);
    expect(store.intents.latest("Toy/a/b/u1", "work", "y")).toBeUndefined();
  });
});

test("at most so many of one effect run at a time, and one effect does not hold up another", async () => {
  const { calls, handler } = byHand();
  const effects = runner(handler, 2);
  const requests = ["1", "2", "3"].map((inputDigest) => request({ inputDigest, durable: false }));
  await effects.retain(owner, [...requests, request({ name: "other", durable: false })]);
  await settle();
  expect(calls).toHaveLength(3);
  expect(effects.running).toBe(4);
  calls[0]!.end.resolve(1);
  await settle();
  expect(calls).toHaveLength(4);
});

test("what hangs in one namespace does not hold up another", async () => {
  const { calls, handler } = byHand();
  const effects = runner(handler, 1);
  const elsewhere = { ...owner, ref: { ...owner.ref, namespace: "elsewhere" } };
  const requests = ["1", "2"].map((inputDigest) => request({ inputDigest, durable: false }));
  await effects.retain(owner, requests);
  await effects.retain(elsewhere, requests);
  await settle();
  expect(calls.map(({ context }) => context.object.namespace)).toEqual([owner.ref.namespace, "elsewhere"]);
});

test("progress shows at once and wakes the object once a second", async () => {
  const { calls, handler } = byHand();
  const effects = runner(handler);
  await effects.retain(owner, [request()]);
  await settle();
  for (let done = 1; done <= 10; done++) calls[0]!.context.progress({ done });
  expect(read(effects)?.progress).toEqual({ done: 10 });
  expect(woken).toBe(1);
  await vi.advanceTimersByTimeAsync(999);
  expect(woken).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(woken).toBe(2);
  calls[0]!.context.progress({ done: 11 });
  calls[0]!.end.resolve(null);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(woken).toBe(3);
});

describe("a new process", () => {
  test("shows what was left unfinished as running and adopts it exactly once", async () => {
    await store.intents.begin({
      object: "Toy/a/b/u1",
      effect: "work",
      inputDigest: "d1",
      attempt: 2,
      input: { n: 1 },
    });
    const { calls, handler } = byHand();
    const effects = runner(handler);
    expect(read(effects)).toMatchObject({ state: "Running", attempt: 2 });
    await effects.retain(owner, [request({ attempt: 2 })]);
    await effects.retain(owner, [request({ attempt: 2 })]);
    await settle();
    expect(calls.map(({ context }) => [context.attempt, context.recovered])).toEqual([[2, true]]);
    calls[0]!.end.resolve("found");
    await settle();
    expect(read(effects)).toMatchObject({ state: "Succeeded", attempt: 2, output: "found" });
  });

  test("cancels what was left and is no longer asked for", async () => {
    await store.intents.begin({
      object: "Toy/a/b/u1",
      effect: "work",
      inputDigest: "old",
      attempt: 1,
      input: 0,
    });
    const { calls, handler } = byHand();
    await runner(handler).retain(owner, [request()]);
    await settle();
    expect(calls).toHaveLength(1);
    expect(store.intents.unfinished()).toMatchObject([{ inputDigest: "d1" }]);
  });

  test("takes a finished outcome from the log; an object made again under the name does not", async () => {
    const { id } = await store.intents.begin({
      object: "Toy/a/b/u1",
      effect: "work",
      inputDigest: "d1",
      attempt: 1,
      input: 0,
    });
    await store.intents.finish(id, { output: 7 });
    const { calls, handler } = byHand();
    const effects = runner(handler);
    expect(read(effects)).toMatchObject({ state: "Succeeded", output: 7 });
    await effects.retain(owner, [request()]);
    await effects.retain({ ...owner, uid: "u2" }, [request()]);
    await settle();
    expect(calls).toHaveLength(1);
  });
});

describe("stop", () => {
  test("leaves what it interrupts unfinished, and records what still ends well", async () => {
    const { calls, handler } = byHand();
    const effects = runner((input, context) =>
      context.signal.aborted || input === "quick" ? Promise.resolve("late") : handler(input, context),
    );
    const slow = Promise.withResolvers<Json>();
    const deaf = runner(() => slow.promise);
    await effects.retain(owner, [request()]);
    await deaf.retain({ ...owner, uid: "u3" }, [request()]);
    await settle();
    const stopped = Promise.all([effects.stop(1_000), deaf.stop(1_000)]);
    slow.resolve("made it");
    await stopped;
    expect(calls[0]!.context.signal.aborted).toBe(true);
    expect(store.intents.unfinished()).toMatchObject([{ object: "Toy/a/b/u1" }]);
    expect(store.intents.latest("Toy/a/b/u3", "work", "d1")?.output).toBe("made it");
    await effects.retain({ ...owner, uid: "u4" }, [request()]);
    await settle();
    expect(calls).toHaveLength(1);
  });

  test("does not wait longer than the grace period", async () => {
    const effects = runner(() => new Promise(() => {}));
    await effects.retain(owner, [request()]);
    await settle();
    let stopped = false;
    void effects.stop(500).then(() => {
      stopped = true;
    });
    await vi.advanceTimersByTimeAsync(499);
    expect(stopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(stopped).toBe(true);
  });
});

test("forget aborts and removes everything of the object", async () => {
  const { calls, handler } = byHand();
  const effects = runner(handler);
  await effects.retain(owner, [request()]);
  await settle();
  await effects.forget(owner);
  await settle();
  expect(calls[0]!.context.signal.aborted).toBe(true);
  expect(read(effects)).toBeUndefined();
  expect(store.intents.objects()).toEqual([]);
  expect(woken).toBe(0);
});
