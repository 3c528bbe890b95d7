import { once } from "node:events";
import { Command } from "commander";
import { startModelServer } from "../dev/model/index.ts";
import { createProgress } from "../dev/progress.ts";
import { integer } from "./arguments.ts";
import { onInterrupt } from "./interrupt.ts";

/** `slipway dev model`: a small local language model behind an OpenAI-compatible endpoint. */
export function devModelCommand(): Command {
  return new Command("model")
    .description("run a small language model on this machine behind an OpenAI-compatible endpoint")
    .option("--port <number>", "port to listen on; 0 takes any free one", integer(0, 65535), 0)
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--parallel <number>", "requests computed at the same time (default: 2)", integer(1, 64))
    .option("--api-key <key>", "ask clients for this bearer token (or set SLIPWAY_MODEL_API_KEY)")
    .addHelpText(
      "after",
      "\nSmolLM2-135M-Instruct (Apache-2.0) is fetched into the cache on first use: about 180 MB.",
    )
    .action(async (options: { port: number; host: string; parallel?: number; apiKey?: string }) => {
      using stop = onInterrupt();
      const progress = createProgress();
      try {
        const server = await startModelServer({
          ...options,
          apiKey: options.apiKey ?? process.env.SLIPWAY_MODEL_API_KEY,
          report: progress.report,
          signal: stop.signal,
        });
        progress.done();
        process.stdout.write(`${JSON.stringify({ url: server.url, model: server.model })}\n`);
        if (!stop.signal.aborted) await once(stop.signal, "abort");
        await server.stop();
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      } finally {
        progress.done();
      }
    });
}
