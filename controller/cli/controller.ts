import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { stateRoot } from "../dev/paths.ts";
import { describeError } from "../errors.ts";
import { createLogger } from "../log.ts";
import { runController } from "../main.ts";
import { onInterrupt } from "./interrupt.ts";

interface Options {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  stateDir: string;
  host: string;
  port: number;
  workUrl?: string;
  prepareInProcess?: number;
  leaderElect: boolean;
}

/** `slipway controller`: follows Repositories until it is told to stop. */
export function controllerCommand(): Command {
  return new Command("controller")
    .description("run the controller")
    .option("--kubeconfig <file>", "kubeconfig (default: KUBECONFIG, the cluster it runs in, ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig")
    .option("--namespace <name>", "follow only this namespace")
    .option("--state-dir <dir>", "database, blobs and git mirrors", join(stateRoot(), "controller"))
    .option("--host <address>", "address of /healthz, /readyz, /metrics and /webhooks", "127.0.0.1")
    .option("--port <number>", "port of the same; 0 takes any free one", port, 8080)
    .option("--work-url <url>", "this controller as pods reach it (default: no work is given to pods)")
    .option(
      "--prepare-in-process <bytes>",
      "Datasets with larger sources are prepared in pods, where --work-url is given (default: 256 MiB)",
      bytes,
    )
    .option("--leader-elect", "take part in leader election", false)
    .action(async (options: Options) => {
      const log = createLogger();
      using stop = onInterrupt("asked to stop");
      try {
        await runController(
          {
            ...options,
            ...(options.prepareInProcess === undefined
              ? {}
              : { prepareInProcessBytes: options.prepareInProcess }),
            leaderElection: options.leaderElect,
            log,
            onListening: (url) => process.stdout.write(`${JSON.stringify({ url })}\n`),
          },
          stop.signal,
        );
      } catch (error) {
        if (!stop.signal.aborted) {
          log.fatal({ err: error }, "the controller ends");
          console.error(`the controller ends: ${describeError(error)}`);
          process.exitCode = 1;
        }
      }
    });
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return value;
}

function bytes(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("a number of bytes");
  return value;
}
