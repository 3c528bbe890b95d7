import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { describeError, SlipwayError } from "../errors.ts";
import { readFiles } from "./fetch/files.ts";
import { contentOf } from "./fetch/source.ts";

/** Where the kubelet reads a container's last words from. */
const TERMINATION_LOG = "/dev/termination-log";
/** How many files of a model are read at a time. */
const CONCURRENCY = 4;

/** `slipway fetch REFERENCE FOLDER`: brings a model or an adapter into a pod, before its server starts. */
export function fetchCommand(): Command {
  return new Command("fetch")
    .description("bring a model's files into a folder, checked and resumed where they broke off")
    .argument("<reference>", "artifact:sha256:…, hf://org/name@commit or s3://bucket/folder")
    .argument("<folder>", "where the files go")
    .option("--file <path>", "only this file, and the small ones beside it")
    .addHelpText(
      "after",
      "\nArtifacts are read from the controller: SLIPWAY_URL and SLIPWAY_TOKEN. Credentials of other sources are in\nSLIPWAY_SECRET_<KEY>, with the keys that a source's Secret has; SLIPWAY_SOURCE_ENDPOINT names a mirror,\nSLIPWAY_SOURCE_REGION the region of a bucket.\nExit status: 0 everything is there, 1 it may be there later, 2 it will not without a change.",
    )
    .action(async (reference: string, folder: string, options: { file?: string }) => {
      const stop = new AbortController();
      process.once("SIGTERM", () => stop.abort(new Error("asked to stop")));
      try {
        const content = await contentOf(reference, options.file, process.env, stop.signal);
        await readFiles(content, folder, {
          signal: stop.signal,
          concurrency: CONCURRENCY,
          say: (text) => console.log(text),
        });
      } catch (error) {
        const text = `${error instanceof SlipwayError ? `${error.code}: ` : ""}${describeError(error)}`;
        console.error(text);
        await writeFile(TERMINATION_LOG, text.slice(0, 4_000)).catch(() => undefined);
        process.exitCode = error instanceof SlipwayError && !error.retryable ? 2 : 1;
      }
    });
}
