import { Command } from "commander";
import { describeError } from "../errors.ts";
import { runDemo } from "./demo/index.ts";
import { onInterrupt } from "./interrupt.ts";

/** `slipway demo`: the main job on real parts, on this machine. */
export function demoCommand(): Command {
  return new Command("demo")
    .description("bring up a cluster, a forge and a model, and show two pull requests being judged")
    .option("--once", "end by itself: 0 only when everything happened")
    .option(
      "--full",
      "also train, serve, evaluate and watch a model in pods, and break it (Linux, root; builds images)",
    )
    .option("--keep", "leave the cluster and the forge running")
    .action(async (options: { once?: boolean; keep?: boolean; full?: boolean }) => {
      using stop = onInterrupt();
      try {
        await runDemo({
          once: options.once === true,
          keep: options.keep === true,
          full: options.full === true,
          signal: stop.signal,
        });
      } catch (error) {
        if (stop.signal.aborted) process.exitCode = 130;
        else {
          console.error(`demo: ${describeError(error)}`);
          process.exitCode = 1;
        }
      }
    });
}
