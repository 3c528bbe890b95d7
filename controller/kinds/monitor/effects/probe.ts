import { SlipwayError } from "../../../errors.ts";
import { callModel } from "../../../eval/model/call.ts";
import { ModelError } from "../../../eval/model/types.ts";
import type { Json } from "../../../graph/canonical.ts";
import type { SecretReader } from "../../../kube/secrets.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import { endpointOf } from "../../endpoint.ts";
import type { ProbeInput, ProbeOutput, Sample } from "../signals/probe.ts";

/** Makes one real request and adds it to the window. A request that fails is a measurement, not a failure. */
export function probe(secrets: SecretReader): EffectHandler {
  return async (input, { signal }) => {
    const { config, samples } = input as unknown as ProbeInput;
    const { target, prompt, maxTokens, stream } = config;
    let output: ProbeOutput;
    try {
      const { endpoint, allowedHosts } = await endpointOf(target, config, secrets);
      const at = Date.now();
      const answer = callModel({
        endpoint,
        request: { messages: [{ role: "user", content: prompt }], parameters: { maxTokens }, stream },
        signal,
        ...(allowedHosts ? { allowedHosts } : {}),
      });
      output = { samples: [...samples, await sampleOf(at, answer)] };
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      // The window stands, whatever kept this request from being made.
      output = { samples, failure: { reason: error.code, message: error.message } };
    }
    return output as unknown as Json;
  };
}

async function sampleOf(at: number, answer: ReturnType<typeof callModel>): Promise<Sample> {
  try {
    const { latencyMs, timeToFirstTokenMs } = await answer;
    return { at, latencyMs, ...(timeToFirstTokenMs === undefined ? {} : { timeToFirstTokenMs }) };
  } catch (error) {
    // Nothing was sent: this says nothing about the endpoint.
    if (!(error instanceof ModelError) || error.code === "HostNotAllowed") throw error;
    return { at, error: error.code };
  }
}
