import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { SlipwayError } from "../../errors.ts";
import type {
  Capabilities,
  Finished,
  FromWorker,
  GenerationRequest,
  ToWorker,
  WorkerOptions,
} from "./protocol.ts";

/** Reading 100 MB of weights takes a second; a machine under load gets a minute more. */
const LOAD_TIMEOUT_MS = 120_000;
const STDERR_KEPT = 2_000;

/** Something that answers chats; the server knows no more of a model than this. */
export interface ChatModel {
  readonly capabilities: Capabilities;
  /** False once the model has died; every call fails then. */
  readonly alive: boolean;
  generate(
    request: GenerationRequest,
    onText: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Finished>;
}

interface Call {
  readonly onText: (text: string) => void;
  readonly resolve: (result: Finished) => void;
  readonly reject: (error: unknown) => void;
}

/** The model in a process of its own: native code that crashes or hangs does not take the server along. */
export class ModelProcess implements ChatModel, AsyncDisposable {
  readonly capabilities: Capabilities;
  readonly #child: ChildProcess;
  readonly #calls: Map<number, Call>;
  #lastId = 0;

  private constructor(child: ChildProcess, calls: Map<number, Call>, capabilities: Capabilities) {
    this.#child = child;
    this.#calls = calls;
    this.capabilities = capabilities;
  }

  /** @throws SlipwayError `ModelUnavailable` when the model cannot be loaded */
  static async start(options: WorkerOptions, signal?: AbortSignal): Promise<ModelProcess> {
    // `rewriteRelativeImportExtensions` does not reach into strings.
    const entry = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
    const child = fork(entry, { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [] });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
    });
    const calls = new Map<number, Call>();
    const deadline = AbortSignal.timeout(LOAD_TIMEOUT_MS);
    const stop = signal ? AbortSignal.any([signal, deadline]) : deadline;
    try {
      const capabilities = await new Promise<Capabilities>((resolve, reject) => {
        const unavailable = (why: string) => {
          reject(new SlipwayError("ModelUnavailable", `the local model could not be loaded: ${why}`));
        };
        stop.addEventListener("abort", () => {
          if (signal?.aborted) reject(signal.reason);
          else unavailable(`no answer within ${LOAD_TIMEOUT_MS / 1000} s`);
        });
        child.on("error", (error) => unavailable(error.message));
        child.on("exit", (code, killed) => {
          const why = `its process ended (${killed ?? `exit code ${code}`}) ${stderr.trim()}`.trim();
          unavailable(why);
          for (const call of calls.values()) call.reject(new SlipwayError("ModelUnavailable", why));
          calls.clear();
        });
        child.on("message", (message: FromWorker) => {
          if (message.type === "loaded") resolve(message.capabilities);
          else if (message.type === "failed") unavailable(message.message);
          else dispatch(calls, message);
        });
        stop.throwIfAborted();
        child.send({ type: "load", options } satisfies ToWorker);
      });
      return new ModelProcess(child, calls, capabilities);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  get alive(): boolean {
    return this.#child.connected;
  }

  async generate(
    request: GenerationRequest,
    onText: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Finished> {
    signal.throwIfAborted();
    if (!this.alive) throw new SlipwayError("ModelUnavailable", "the model's process has ended");
    const id = ++this.#lastId;
    const cancel = () => this.#send({ type: "cancel", id });
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await new Promise<Finished>((resolve, reject) => {
        this.#calls.set(id, { onText, resolve, reject });
        this.#send({ type: "generate", id, request });
      });
    } finally {
      this.#calls.delete(id);
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends the process at once; calls in flight fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  #send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message);
  }
}

type Answer = Extract<FromWorker, { id: number }>;

function dispatch(calls: Map<number, Call>, message: Answer): void {
  const call = calls.get(message.id);
  if (message.type === "text") call?.onText(message.text);
  else if (message.type === "done") call?.resolve(message.result);
  else call?.reject(new SlipwayError(message.code, message.message));
}
