import { Command } from "commander";
import { describeError } from "../errors.ts";
import { EXIT } from "./data/exit.ts";
import { onInterrupt } from "./interrupt.ts";

/** `slipway data`: Datasets on a laptop or in CI, with no cluster. */
export function dataCommand(): Command {
  const data = new Command("data").description(
    "prepare and compare the Datasets of a folder, without a cluster",
  );
  data
    .command("prepare")
    .description("prepare a Dataset as the controller does, to the same digest")
    .argument("<name>", "the Dataset")
    .requiredOption("-f, --file <dir>", "folder with the manifests")
    .option("--out <dir>", "write the artifact's files there")
    .option("--json <file>", "write counts and digest as JSON")
    .addHelpText(
      "after",
      [
        "",
        "Exit status: 0 prepared, 1 its rows or a gate are at fault, 2 usage or error.",
        "Sources with a secretRef use the keys of the Secret from environment variables of the same names",
        "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, HF_TOKEN; SLIPWAY_TOKEN for token); they are sent to the hosts",
        "in SLIPWAY_ALLOWED_HOSTS (comma-separated host[:port]) and nowhere else.",
      ].join("\n"),
    )
    .action(async (name: string, options: { file: string; out?: string; json?: string }) => {
      const { prepareLocally } = await import("./data/prepare.ts");
      await ending("prepare", (signal) => prepareLocally(name, options, signal));
    });
  data
    .command("diff")
    .description(
      "compare the rows of the Datasets that differ between two commits, as a pull request's comment does",
    )
    .requiredOption("-f, --file <dir>", "folder with the manifests, in a git clone")
    .requiredOption("--base <ref>", "git ref to compare with")
    .option("--head <ref>", "git ref to compare (default: the folder as it is)")
    .option("--json <file>", "write the whole result as JSON")
    .addHelpText(
      "after",
      [
        "",
        "Exit status: 0 compared, 1 the head's rows cannot be prepared or miss a gate that the base's do not,",
        "2 usage or error, 3 something could not be compared (it lies outside of git).",
        "No text of a row is shown: rows are named by file and line.",
      ].join("\n"),
    )
    .action(async (options: { file: string; base: string; head?: string; json?: string }) => {
      const { diffLocally } = await import("./data/diff.ts");
      await ending("compare", (signal) => diffLocally(options, signal));
    });
  return data;
}

async function ending(verb: string, run: (signal: AbortSignal) => Promise<number>): Promise<void> {
  using stop = onInterrupt();
  try {
    process.exitCode = await run(stop.signal);
  } catch (error) {
    console.error(stop.signal.aborted ? "interrupted" : `cannot ${verb}: ${describeError(error)}`);
    process.exitCode = EXIT.error;
  }
}
