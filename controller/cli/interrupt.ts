import { SlipwayError } from "../errors.ts";

/** npm passes on what the terminal has sent to the whole group already: one key press arrives twice. */
const SAME_PRESS_MS = 2_000;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Until it is disposed of, Ctrl-C and SIGTERM abort its signal instead of ending the process. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Lets a command clean up when it is interrupted. A second Ctrl-C, not before two seconds after the first, ends the
 * process at once with 130: whatever hangs must not hold the terminal.
 * @param message of the error that the signal aborts with
 */
export function onInterrupt(message = "interrupted"): Interruption {
  const controller = new AbortController();
  let first: number | undefined;
  const interrupt = () => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      controller.abort(new SlipwayError("Interrupted", message));
    } else if (now - first >= SAME_PRESS_MS) process.exit(130);
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, interrupt);
    },
  };
}
