import { digestOf, type Json } from "../../graph/canonical.ts";
import type { EffectOutcome, EffectRequest } from "../../runtime/kind.ts";
import type { ProbeOutput } from "./decide.ts";
import type { Served } from "./names.ts";

/** What is asked: a Service by its IP, for the model that it should list. No key: it is in this cluster. */
export interface AddressProbe extends Pick<Served, "listed" | "absent"> {
  readonly address: string;
}

export interface Answering {
  readonly effects: readonly EffectRequest[];
  /** Undefined until it was asked for the first time by this process. */
  readonly ok: boolean | undefined;
  readonly reason: string;
  readonly message: string;
  /** When it is asked again, in ms. */
  readonly waitMs: number | undefined;
}

/** An answer holds as long as for a hosted model; pods that go are seen at once all the same. */
const HEALTHY_MS = 60_000;
const FAILING_MS = 2_000;

/** Asks a Service whether it answers for a model: at once, soon again when it does not, every minute when it does. */
export function answering(
  address: string,
  { listed, absent }: Pick<Served, "listed" | "absent">,
  effect: (request: EffectRequest) => EffectOutcome | undefined,
  now: Date,
): Answering {
  const probe: AddressProbe = { address, listed, ...(absent === undefined ? {} : { absent }) };
  const input = probe as unknown as Json;
  const request = (attempt: number): EffectRequest => ({
    name: "ask",
    inputDigest: digestOf(input),
    input,
    attempt,
    durable: false,
  });
  const outcome = effect(request(1));
  if (!outcome || outcome.state === "Running") {
    const message = `asking ${address}`;
    return {
      effects: [request(outcome?.attempt ?? 1)],
      ok: undefined,
      reason: "Probing",
      message,
      waitMs: undefined,
    };
  }
  const output = outcome.output as ProbeOutput | undefined;
  const ok = outcome.state === "Succeeded" && output?.ok === true;
  const left = (outcome.finishedAt ?? 0) + (ok ? HEALTHY_MS : FAILING_MS) - now.getTime();
  return {
    effects: [request(left <= 0 ? outcome.attempt + 1 : outcome.attempt)],
    ok,
    reason: output && !output.ok ? output.reason : (outcome.error?.code ?? "EndpointAnswers"),
    message: output?.message ?? outcome.error?.message ?? "",
    waitMs: Math.max(50, left),
  };
}
