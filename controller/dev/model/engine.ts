import { randomInt } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SlipwayError } from "../../errors.ts";
import type { JinjaModule, LlamaModel, LlamaModule, LlamaSequence, Token } from "./llama.ts";
import type { Capabilities, ChatMessage, Finished, GenerationRequest, WorkerOptions } from "./protocol.ts";
import { chooseSlot, commonPrefix } from "./slots.ts";
import { StopFilter } from "./stops.ts";

/** Enough for a prompt with dozens of examples; each slot keeps 23 KB for each token. */
const CONTEXT_SIZE = 2048;
/**
 * A prompt is evaluated in batches of so many tokens, from its beginning on; between two of them a cancelled request is
 * noticed. Small, as what two prompts share is reused up to the last whole batch.
 */
const BATCH_SIZE = 16;
/** Two prompts (base and head) for each request that runs. */
const SLOTS_PER_RUNNER = 2;

interface Slot {
  readonly sequence: LlamaSequence;
  /** Tokens at the beginning that were evaluated in whole batches. */
  whole: number;
  busy: boolean;
  usedAt: number;
}

/**
 * Runs a GGUF chat model on the CPU. Each slot is a context of its own that keeps the key-value cache
 * of its last prompt, so that a prompt with the same beginning evaluates only what differs.
 *
 * Reuse does not change answers. What llama.cpp computes of a token depends on the batch that it is in: on some
 * processors its kernels for many tokens sum in another order than those for one. So a prompt is always cut into the
 * same batches, and only whole ones of a prompt are reused, never tokens of an answer, which came one by one. Flash
 * attention's sums depend on more, and requests that share a context would see each other's cells; hence
 * `flashAttention: false`, one sequence a context and one thread a request. test/integration/model holds this to account.
 */
export class Engine {
  readonly capabilities: Capabilities;
  readonly #model: LlamaModel;
  readonly #render: (messages: readonly ChatMessage[]) => string;
  readonly #slots: readonly Slot[];
  readonly #parallel: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #uses = 0;

  private constructor(
    model: LlamaModel,
    render: (messages: readonly ChatMessage[]) => string,
    slots: readonly Slot[],
    parallel: number,
  ) {
    this.#model = model;
    this.#render = render;
    this.#slots = slots;
    this.#parallel = parallel;
    this.capabilities = { contextSize: CONTEXT_SIZE };
  }

  static async load({ runtime, weights, parallel }: WorkerOptions): Promise<Engine> {
    const modules = join(runtime, "node_modules");
    const { getLlama }: LlamaModule = await import(
      pathToFileURL(join(modules, "node-llama-cpp", "dist", "index.js")).href
    );
    const { Template }: JinjaModule = await import(
      pathToFileURL(join(modules, "@huggingface", "jinja", "dist", "index.js")).href
    );
    const llama = await getLlama({
      gpu: false,
      build: "never",
      maxThreads: parallel,
      logLevel: "error",
      progressLogs: false,
    });
    const model = await llama.loadModel({ modelPath: weights });
    const source = model.fileInfo.metadata.tokenizer.chat_template;
    if (source === undefined) {
      throw new SlipwayError("ChatTemplateMissing", `${weights} has no chat template`, {
        hint: "use an instruct model",
      });
    }
    const template = new Template(source);
    const slots: Slot[] = [];
    for (let index = 0; index < parallel * SLOTS_PER_RUNNER; index++) {
      const context = await model.createContext({
        contextSize: CONTEXT_SIZE,
        sequences: 1,
        batchSize: BATCH_SIZE,
        flashAttention: false,
        threads: 1,
      });
      slots.push({ sequence: context.getSequence(), whole: 0, busy: false, usedAt: 0 });
    }
    const render = (messages: readonly ChatMessage[]) =>
      template.render({ messages, add_generation_prompt: true });
    return new Engine(model, render, slots, parallel);
  }

  /**
   * Answers a chat; `onText` gets the answer piece by piece. Waits for its turn when `parallel`
   * requests run already.
   * @throws SlipwayError `ContextLengthExceeded`; the signal's reason when cancelled
   */
  async generate(
    request: GenerationRequest,
    onText: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Finished> {
    const prompt = this.#model.tokenize(this.#render(request.messages), true);
    if (prompt.length >= CONTEXT_SIZE) {
      throw new SlipwayError(
        "ContextLengthExceeded",
        `the messages have ${prompt.length} tokens; this model's context holds ${CONTEXT_SIZE}`,
      );
    }
    await this.#turn(signal);
    const slot = this.#take(prompt);
    try {
      return await this.#answer(slot, prompt, request, onText, signal);
    } catch (error) {
      // What the cache holds after a failure is unknown.
      if (!signal.aborted) {
        slot.whole = 0;
        await slot.sequence.clearHistory();
      }
      throw error;
    } finally {
      slot.busy = false;
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #answer(
    slot: Slot,
    prompt: Token[],
    request: GenerationRequest,
    onText: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Finished> {
    const { sequence } = slot;
    // The last prompt token is always evaluated: its output is what the answer starts from.
    const shared = Math.min(slot.whole, commonPrefix(sequence.contextTokens, prompt.slice(0, -1)));
    slot.whole = shared - (shared % BATCH_SIZE);
    await sequence.adaptStateToTokens(prompt.slice(0, slot.whole), false);
    if (sequence.nextTokenIndex !== slot.whole) {
      slot.whole = 0;
      await sequence.clearHistory();
    }
    const cachedTokens = slot.whole;
    while (prompt.length - slot.whole > BATCH_SIZE) {
      signal.throwIfAborted();
      await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(slot.whole, slot.whole + BATCH_SIZE));
      slot.whole += BATCH_SIZE;
    }
    signal.throwIfAborted();

    const limit = Math.min(request.maxTokens, CONTEXT_SIZE - prompt.length);
    const filter = new StopFilter(request.stop);
    const output: Token[] = [];
    let length = 0;
    let finishReason: Finished["finishReason"] = "stop";
    const tokens = sequence.evaluate(prompt.slice(slot.whole), {
      temperature: request.temperature,
      topP: request.topP,
      // OpenAI's API knows neither; the runtime's own defaults would cut the distribution.
      topK: 0,
      minP: 0,
      seed: request.seed ?? randomInt(2 ** 31),
    });
    for await (const token of tokens) {
      signal.throwIfAborted();
      output.push(token);
      const text = this.#model.detokenize(output);
      // A character may take several tokens; until the last one there is a replacement character.
      if (!text.endsWith("\uFFFD")) {
        const shown = filter.push(text.slice(length));
        length = text.length;
        if (shown !== "") onText(shown);
        if (filter.stopped) break;
      }
      if (output.length >= limit) {
        finishReason = "length";
        break;
      }
    }
    const rest = filter.end();
    if (rest !== "") onText(rest);
    return { finishReason, promptTokens: prompt.length, cachedTokens, completionTokens: output.length };
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running >= this.#parallel) {
      await new Promise<void>((resolve, reject) => {
        const go = () => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        const leave = () => {
          const place = this.#waiting.indexOf(go);
          if (place >= 0) this.#waiting.splice(place, 1);
          reject(signal.reason);
        };
        this.#waiting.push(go);
        signal.addEventListener("abort", leave, { once: true });
      });
    }
    this.#running++;
  }

  #take(prompt: Token[]): Slot {
    const states = this.#slots.map(({ sequence, busy, usedAt }) => ({
      tokens: sequence.contextTokens,
      busy,
      usedAt,
    }));
    const slot = this.#slots[chooseSlot(prompt, states) ?? -1];
    if (!slot) throw new Error("there are more slots than running requests, so one is idle");
    slot.busy = true;
    slot.usedAt = ++this.#uses;
    return slot;
  }
}
