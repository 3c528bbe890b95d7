import { createLogger } from "../controller/log.ts";
import type { EffectContext } from "../controller/runtime/kind.ts";

/** What an effect gets beside its input: the first attempt for an object of the namespace `team`, which nobody stops. */
export function effectContext(kind: string, name: string, more: Partial<EffectContext> = {}): EffectContext {
  return {
    object: { kind, namespace: "team", name },
    owner: `${kind}/team/${name}/u1`,
    attempt: 1,
    recovered: false,
    signal: new AbortController().signal,
    log: createLogger("silent"),
    progress: () => {},
    ...more,
  };
}
