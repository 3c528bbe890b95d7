import { SlipwayError } from "../../errors.ts";
import { Engine } from "./engine.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

/** Entry of the model's process: a crash or a kill of the native code ends this process alone. */
const running = new Map<number, AbortController>();
let engine: Engine | undefined;

function send(message: FromWorker): void {
  // The server may have gone in the meantime; `disconnect` ends this process then.
  if (process.connected) process.send?.(message);
}

async function load(message: Extract<ToWorker, { type: "load" }>): Promise<void> {
  try {
    engine = await Engine.load(message.options);
    send({ type: "loaded", capabilities: engine.capabilities });
  } catch (error) {
    send({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

async function generate({ id, request }: Extract<ToWorker, { type: "generate" }>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (!engine) throw new SlipwayError("ModelUnavailable", "the model is not loaded");
    const onText = (text: string) => send({ type: "text", id, text });
    send({ type: "done", id, result: await engine.generate(request, onText, controller.signal) });
  } catch (error) {
    const code = error instanceof SlipwayError ? error.code : "GenerationFailed";
    send({ type: "error", id, code, message: error instanceof Error ? error.message : String(error) });
  } finally {
    running.delete(id);
  }
}

process.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "load":
      void load(message);
      break;
    case "generate":
      void generate(message);
      break;
    case "cancel":
      running.get(message.id)?.abort(new SlipwayError("Cancelled", "the request was cancelled"));
      break;
  }
});
process.on("disconnect", () => process.exit(0));
