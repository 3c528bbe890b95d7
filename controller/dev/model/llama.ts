/**
 * The part of node-llama-cpp 3.22's interface that is used here. The package is no dependency of ours:
 * it is fetched into the cache on first use and imported from there.
 */
export type Token = number;

export interface LlamaModule {
  getLlama(options: {
    gpu: false;
    build: "never";
    maxThreads: number;
    logLevel: string;
    progressLogs: boolean;
  }): Promise<Llama>;
}

export interface Llama {
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
}

export interface LlamaModel {
  readonly fileInfo: { readonly metadata: { readonly tokenizer: { readonly chat_template?: string } } };
  readonly trainContextSize: number;
  tokenize(text: string, specialTokens: boolean): Token[];
  detokenize(tokens: readonly Token[]): string;
  createContext(options: {
    contextSize: number;
    sequences: number;
    batchSize: number;
    flashAttention: boolean;
    threads: number;
  }): Promise<LlamaContext>;
}

export interface LlamaContext {
  getSequence(): LlamaSequence;
}

export interface LlamaSequence {
  readonly contextTokens: Token[];
  readonly nextTokenIndex: number;
  adaptStateToTokens(tokens: Token[], allowShift: boolean): Promise<void>;
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: Token[]): Promise<void>;
  evaluate(
    tokens: Token[],
    options: { temperature: number; topP: number; topK: number; minP: number; seed?: number },
  ): AsyncGenerator<Token, void, void>;
}

/** The part of @huggingface/jinja (a dependency of node-llama-cpp) that renders chat templates. */
export interface JinjaModule {
  Template: new (source: string) => { render(values: Record<string, unknown>): string };
}
