import { describe, expect, test, vi } from "vitest";
import { SlipwayError } from "../../errors.ts";
import { waitAfter, withRetries } from "./retry.ts";
import { ModelError } from "./types.ts";

const flaky = new ModelError("ModelUnavailable", "HTTP 500", { retryable: true });
const policy = (more: object = {}) => ({
  maxRetries: 3,
  deadline: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
  now: () => 0,
  random: () => 0,
  ...more,
});

describe("withRetries", () => {
  test("tries again until it works, and tells", async () => {
    const attempt = vi.fn().mockRejectedValueOnce(flaky).mockRejectedValueOnce(flaky).mockResolvedValue("ok");
    const onRetry = vi.fn();
    expect(await withRetries(attempt, policy({ onRetry }))).toBe("ok");
    expect(onRetry).toHaveBeenCalledTimes(2);
  });

  test("gives up after maxRetries with the last error", async () => {
    const attempt = vi.fn().mockRejectedValue(flaky);
    await expect(withRetries(attempt, policy())).rejects.toBe(flaky);
    expect(attempt).toHaveBeenCalledTimes(4);
  });

  test("does not retry what will not change, nor a stranger's error", async () => {
    for (const error of [
      new ModelError("ModelRejected", "HTTP 400"),
      new SlipwayError("X", "x"),
      new Error("bug"),
    ]) {
      const attempt = vi.fn().mockRejectedValue(error);
      await expect(withRetries(attempt, policy())).rejects.toBe(error);
      expect(attempt).toHaveBeenCalledTimes(1);
    }
  });

  test("starts no try after the deadline", async () => {
    const asked = new ModelError("ModelRateLimited", "429", { retryable: true, retryAfterMs: 60_000 });
    const attempt = vi.fn().mockRejectedValue(asked);
    await expect(withRetries(attempt, policy({ deadline: 59_000 }))).rejects.toBe(asked);
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  test("a caller who leaves ends the wait", async () => {
    const controller = new AbortController();
    const pending = withRetries(
      () => Promise.reject(flaky),
      policy({ signal: controller.signal, random: () => 1 }),
    );
    setTimeout(() => controller.abort(new Error("leaving")), 10);
    await expect(pending).rejects.toThrow("leaving");
  });
});

describe("waitAfter", () => {
  test("grows exponentially up to a cap, with full jitter", () => {
    expect([0, 1, 2, 10].map((tries) => waitAfter(tries, flaky, () => 1))).toEqual([
      500, 1_000, 2_000, 30_000,
    ]);
    expect(waitAfter(5, flaky, () => 0)).toBe(0);
  });

  test("is never shorter than asked", () => {
    const asked = new ModelError("ModelRateLimited", "429", { retryable: true, retryAfterMs: 2_000 });
    expect(waitAfter(0, asked, () => 0)).toBe(2_000);
    expect(waitAfter(0, asked, () => 1)).toBe(2_500);
  });
});
