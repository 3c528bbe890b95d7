import { describe, expect, it } from "vitest";
import { KubeError } from "./kube-error.ts";
import { retryDelayMs } from "./retry.ts";

const network = (code: string) =>
  new KubeError(0, "Unreachable", "x", { cause: Object.assign(new Error(), { code }) });
const first = { tried: 1, random: 0, idempotent: true };
const once = { ...first, idempotent: false };

describe("retryDelayMs", () => {
  it.each<[string, unknown, typeof first, number | undefined]>([
    ["429 for any verb", new KubeError(429, "TooManyRequests", "x"), once, 125],
    [
      "429 as long as the server asks",
      new KubeError(429, "TooManyRequests", "x", { retryAfterMs: 3_000 }),
      once,
      3_000,
    ],
    ["503 for a read", new KubeError(503, "ServiceUnavailable", "x"), first, 125],
    ["503 not for a create", new KubeError(503, "ServiceUnavailable", "x"), once, undefined],
    ["the server's own 504 for a read", new KubeError(504, "Timeout", "x"), first, 125],
    ["a reset for a read", network("ECONNRESET"), first, 125],
    ["a reset not for a create", network("ECONNRESET"), once, undefined],
    ["a refused connection for any verb", network("ECONNREFUSED"), once, 125],
    ["our own deadline never", new KubeError(0, "Timeout", "x"), first, undefined],
    ["404 never", new KubeError(404, "NotFound", "x"), first, undefined],
    ["other errors never", new Error("x"), first, undefined],
    ["longer each time", new KubeError(503, "x", "x"), { ...first, tried: 3, random: 1 }, 1_000],
    ["five tries at most", new KubeError(503, "x", "x"), { ...first, tried: 5 }, undefined],
  ])("%s", (_, error, attempt, expected) => {
    expect(retryDelayMs(error, attempt)).toBe(expected);
  });
});
