/** Tells the person waiting what is being done now: one short line without a line break. */
export type Report = (message: string) => void;

/** A report for callers that show nothing. */
export const silent: Report = () => {};

/** How often one step may repeat itself where lines cannot be overwritten. */
const PLAIN_INTERVAL_MS = 10_000;

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Progress {
  readonly report: Report;
  /** Ends the updating line, so that what follows starts on a line of its own. */
  done(): void;
}

/**
 * Shows progress on a stream: one updating line on a terminal, plain lines elsewhere. In plain mode a
 * message whose part before the first colon repeats (a counter, elapsed seconds) is printed at most
 * every ten seconds, so that a build of minutes does not fill a CI log.
 */
export function createProgress(
  stream: ProgressStream = process.stderr,
  now: () => number = Date.now,
): Progress {
  if (stream.isTTY) {
    let shown = false;
    return {
      report(message) {
        shown = true;
        stream.write(`\r\u001b[2K${message.slice(0, Math.max(10, (stream.columns ?? 80) - 1))}`);
      },
      done() {
        if (shown) stream.write("\r\u001b[2K");
        shown = false;
      },
    };
  }
  let step = "";
  let printedAt = Number.NEGATIVE_INFINITY;
  return {
    report(message) {
      const at = now();
      const next = message.split(":", 1)[0] ?? message;
      if (next === step && at - printedAt < PLAIN_INTERVAL_MS) return;
      step = next;
      printedAt = at;
      stream.write(`${message}\n`);
    },
    done() {
      step = "";
    },
  };
}
