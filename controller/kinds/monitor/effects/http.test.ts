import { expect, test } from "vitest";
import { callOut } from "./http.ts";

test("the machine itself is not asked, where clouds hand out credentials", async () => {
  const call = {
    url: "http://169.254.169.254/api/v1/query",
    method: "POST",
    signal: new AbortController().signal,
  } as const;
  await expect(callOut(call, "PrometheusUnreachable")).rejects.toMatchObject({
    code: "HostNotAllowed",
    retryable: false,
  });
});
