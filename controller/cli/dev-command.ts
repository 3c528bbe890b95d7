import { Option } from "commander";
import { DEFAULT_NAME } from "../dev/cluster.ts";
import { createProgress, type Report } from "../dev/progress.ts";
import { onInterrupt } from "./interrupt.ts";

export interface NameOption {
  readonly name: string;
}

export const nameOption = () => new Option("--name <name>", "which cluster or forge").default(DEFAULT_NAME);

/** Runs work with progress shown; the first Ctrl-C aborts it, so that it can clean up. */
export async function withProgress<T>(work: (report: Report, signal: AbortSignal) => Promise<T>): Promise<T> {
  const progress = createProgress();
  using stop = onInterrupt("interrupted; what was started was removed");
  try {
    return await work(progress.report, stop.signal);
  } catch (error) {
    // Ctrl-C reaches programs that work for us too, and what they say of their end is not the reason.
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    progress.done();
  }
}

export function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
