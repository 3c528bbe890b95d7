import pc from "picocolors";
import { describeError } from "../../errors.ts";
import { MODEL_CHAIN_STEPS, playModelChain } from "./model-chain.ts";
import { PULL_REQUEST_STEPS, playPullRequests } from "./pull-requests.ts";
import { createScreen } from "./screen.ts";
import { type DemoOptions, STAGE_STEPS, type Stage, setStage } from "./stage.ts";

/** The whole story on real parts, step by step; ends by itself with `once` or `keep`, else on the signal. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const screen = createScreen(STAGE_STEPS + PULL_REQUEST_STEPS + (options.full ? MODEL_CHAIN_STEPS : 0));
  const cleanups: Stage["cleanups"] = [];
  const started = performance.now();
  try {
    const stage = await setStage(screen, options, cleanups);
    const pulls = await playPullRequests(stage);
    if (options.full) await playModelChain(stage);
    showPlaces(stage, pulls, performance.now() - started);
    if (options.once || options.keep) return;
    screen.line("  Running until you press Ctrl-C.");
    await new Promise<void>((resolve) =>
      options.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
  } finally {
    if (!options.keep || options.signal.aborted) {
      for (const cleanup of cleanups.reverse()) {
        await cleanup().catch((error: unknown) =>
          screen.line(pc.yellow(`cleaning up: ${describeError(error)}`)),
        );
      }
    }
  }
}

function showPlaces(
  { screen, options, name, forge, controller, cluster }: Stage,
  pulls: readonly string[],
  ms: number,
): void {
  const staying = options.keep || !options.once;
  screen.line(pc.green(`Everything happened, in ${(ms / 1000).toFixed(0)} s.`));
  screen.line(`  pull requests  ${pulls.join("  ")}`);
  screen.line(
    `  forge          ${forge.url} (user ${forge.user}${staying ? `, password ${forge.password}` : ""})`,
  );
  screen.line(`  controller     ${controller.url}/metrics, log ${controller.logFile}`);
  screen.line(`  kubectl        export KUBECONFIG=${cluster.kubeconfigPath}`);
  if (options.keep) screen.line(`  Everything is left running: slipway dev down --name ${name} removes it.`);
}
