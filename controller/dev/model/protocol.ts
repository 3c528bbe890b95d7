/** Messages between the server and the process that runs the model. */

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface Sampling {
  /** 0 takes the likeliest token always. */
  readonly temperature: number;
  readonly topP: number;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly seed?: number | undefined;
}

export interface GenerationRequest extends Sampling {
  readonly messages: readonly ChatMessage[];
}

export interface Usage {
  readonly promptTokens: number;
  /** Prompt tokens that were still in the key-value cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

export interface Finished extends Usage {
  readonly finishReason: "stop" | "length";
}

export interface Capabilities {
  /** Most tokens of prompt and answer together. */
  readonly contextSize: number;
}

export interface WorkerOptions {
  /** Folder in which node-llama-cpp is installed. */
  readonly runtime: string;
  /** GGUF file. */
  readonly weights: string;
  readonly parallel: number;
}

export type ToWorker =
  | { readonly type: "load"; readonly options: WorkerOptions }
  | { readonly type: "generate"; readonly id: number; readonly request: GenerationRequest }
  | { readonly type: "cancel"; readonly id: number };

export type FromWorker =
  | { readonly type: "loaded"; readonly capabilities: Capabilities }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "text"; readonly id: number; readonly text: string }
  | { readonly type: "done"; readonly id: number; readonly result: Finished }
  | { readonly type: "error"; readonly id: number; readonly code: string; readonly message: string };
