import { SlipwayError } from "../../errors.ts";
import { type GroupOptions, runGroup } from "../run-group.ts";

export interface Step extends Omit<GroupOptions, "onLine"> {
  /** What could not be done, as the error says it. */
  readonly failed: string;
  readonly hint?: string;
}

const TAIL_LINES = 20;

/** Runs a program that makes a part of an image. @throws SlipwayError ImageFailed with the end of what it printed */
export async function runStep(
  program: string,
  args: readonly string[],
  { failed, hint, ...options }: Step,
): Promise<void> {
  const tail: string[] = [];
  const onLine = (line: string) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
  };
  const fail = (said: string, cause?: unknown) =>
    new SlipwayError("ImageFailed", `${failed}: ${said}`, { cause, ...(hint === undefined ? {} : { hint }) });
  const code = await runGroup(program, args, { ...options, onLine }).catch((cause: unknown) => {
    options.signal?.throwIfAborted();
    throw fail((cause as Error).message, cause);
  });
  if (code !== 0) throw fail(tail.join("\n") || `${program} ended with status ${code}`);
}
