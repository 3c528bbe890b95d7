import { expect, test } from "vitest";
import { effectContext } from "../../../../test/effect-context.ts";
import { SlipwayError } from "../../../errors.ts";
import type { SecretReader } from "../../../kube/secrets.ts";
import { probe } from "./probe.ts";

const context = effectContext("Monitor", "m");

test.each([true, false])(
  "the window outlives a Secret that cannot be read (for a moment: %s)",
  async (retryable) => {
    const read = () => Promise.reject(new SlipwayError("SecretForbidden", "no", { retryable }));
    const target = {
      ...{ baseURL: "https://a.example.com/v1", model: "m", timeout: "1s", maxConcurrency: 1 },
      secretRef: { name: "key", key: "apiKey" },
    };
    const samples = [{ at: 1, latencyMs: 5 }];
    const config = {
      namespace: "team",
      serviceAccountName: "team",
      target,
      prompt: "?",
      maxTokens: 1,
      stream: false,
    };
    const output = await probe({ read } as unknown as SecretReader)({ config, samples }, context);
    expect(output).toEqual({ samples, failure: { reason: "SecretForbidden", message: "no" } });
  },
);
