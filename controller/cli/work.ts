import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { SlipwayError } from "../errors.ts";
import type { Json } from "../graph/canonical.ts";
import { FINAL_EXIT_CODE } from "../kinds/dataset/job.ts";
import { prepareInPod } from "../kinds/dataset/pod.ts";
import { createLogger } from "../log.ts";
import { WorkClient } from "../work/client.ts";
import { onInterrupt } from "./interrupt.ts";

/** `slipway work`: what the controller's Jobs run in their pods. Nobody calls it by hand. */
export function workCommand(): Command {
  const work = new Command("work").description("work that the controller gives to pods");
  work
    .command("prepare")
    .description("prepare a Dataset; SLIPWAY_URL, SLIPWAY_TOKEN and SLIPWAY_INPUT say which")
    .addHelpText(
      "after",
      "\nExit status: 0 done, 1 worth another try, 2 another try would end the same way (the data is at fault).",
    )
    .action(async () => {
      process.exitCode = await prepare();
    });
  return work;
}

async function prepare(): Promise<number> {
  const log = createLogger();
  using stop = onInterrupt("asked to stop");
  const client = new WorkClient(
    setting("SLIPWAY_URL").replace(/\/+$/, ""),
    setting("SLIPWAY_TOKEN"),
    stop.signal,
  );
  const folder = await mkdtemp(join(process.env.SLIPWAY_WORK ?? tmpdir(), "prepare-"));
  try {
    const input = setting("SLIPWAY_INPUT");
    const output = await prepareInPod({ client, input, folder, log, signal: stop.signal });
    await client.report({ state: "Succeeded", result: output as unknown as Json });
    return 0;
  } catch (error) {
    // Asked to stop: the next pod begins anew, and nothing is wrong.
    if (stop.signal.aborted) return 1;
    log.error({ err: error }, "the preparation failed");
    const known = error instanceof SlipwayError;
    const { code, message } = known
      ? error
      : { code: "InternalError", message: String(error).slice(0, 2000) };
    const hint = known && error.hint !== undefined ? ` (${error.hint})` : "";
    await client
      .report({ state: "Failed", error: { code, message: `${message}${hint}`.slice(0, 8192) } })
      .catch((err: unknown) => log.error({ err }, "cannot report it either"));
    return known && !error.retryable ? FINAL_EXIT_CODE : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws SlipwayError SettingMissing */
function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "")
    throw new SlipwayError("SettingMissing", `${name} is not set`, { hint: "the controller's Job sets it" });
  return value;
}
