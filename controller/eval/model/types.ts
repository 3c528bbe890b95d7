import type { ModelParameters } from "../../../schemas/prompt-template.ts";
import { type ErrorDetails, SlipwayError } from "../../errors.ts";
import type { ChatMessage } from "../template/prompt.ts";

/** Where a model answers. */
export interface ModelEndpoint {
  /** Base of an OpenAI-compatible API, e.g. `https://api.openai.com/v1`. */
  readonly baseURL: string;
  readonly model: string;
  readonly apiKey?: string;
  /** Longest wait for one whole answer. */
  readonly timeoutMs: number;
}

export interface ModelRequest {
  readonly messages: readonly ChatMessage[];
  readonly parameters?: ModelParameters | undefined;
  /** JSON Schema, sent as `response_format`. */
  readonly outputSchema?: unknown;
  /** Streams, to measure the time to the first token. */
  readonly stream?: boolean;
}

export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface ModelAnswer {
  readonly text: string;
  /** The endpoint's own word, such as `stop`, `length` or `content_filter`. */
  readonly finishReason: string;
  /** Absent where the endpoint does not report it. */
  readonly usage?: TokenUsage;
  readonly latencyMs: number;
  readonly timeToFirstTokenMs?: number;
}

export type ModelErrorCode =
  /** No whole answer in time. */
  | "ModelTimeout"
  /** 429. */
  | "ModelRateLimited"
  /** 5xx, refused, reset. */
  | "ModelUnavailable"
  /** 200 with something that is no chat completion, or too much of it. */
  | "ModelGarbage"
  /** Another 4xx: this request will never be answered. */
  | "ModelRejected"
  /** 401, 402 or 403. */
  | "ModelUnauthorized"
  /** 3xx: not followed, so that a key goes nowhere else. */
  | "ModelRedirected"
  /** The key may not be sent there; nothing was. */
  | "HostNotAllowed";

export class ModelError extends SlipwayError {
  declare readonly code: ModelErrorCode;
  readonly status: number | undefined;
  /** What the endpoint asked to wait, in ms. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ModelErrorCode,
    message: string,
    details: ErrorDetails & { readonly status?: number; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(code, message, details);
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}
