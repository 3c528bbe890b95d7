export { callModel, type ModelCall } from "./call.ts";
export { type ProbeResult, probeEndpoint } from "./probe.ts";
export { type RetryPolicy, waitAfter, withRetries } from "./retry.ts";
export {
  type ModelAnswer,
  type ModelEndpoint,
  ModelError,
  type ModelErrorCode,
  type ModelRequest,
  type TokenUsage,
} from "./types.ts";
