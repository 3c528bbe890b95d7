import { Command } from "commander";
import { describeError, formatLocation } from "../errors.ts";
import { folderSource } from "../gitops/folder.ts";
import type { LoadError } from "../gitops/manifest.ts";
import { loadSnapshot } from "../gitops/snapshot.ts";

/** `slipway validate DIR`: what a Repository would say about a folder, with no cluster. */
export function validateCommand(): Command {
  return new Command("validate")
    .description("check the manifests and case files of a folder, without a cluster")
    .argument("<dir>", "folder with the manifests, as spec.path of a Repository names it")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExit status: 0 all valid, 1 something is invalid, 2 the folder cannot be read.")
    .action(async (dir: string, options: { json?: boolean }) => {
      try {
        const snapshot = await loadSnapshot(folderSource(dir), "");
        const objects = snapshot.graph.order.map((key) => ({
          key,
          revision: snapshot.graph.nodes.get(key)?.revision,
          held: snapshot.held.get(key),
        }));
        if (options.json) {
          console.log(
            JSON.stringify({ objects, errors: snapshot.errors, warnings: snapshot.warnings }, null, 2),
          );
        } else {
          for (const error of snapshot.errors) console.error(line("error", error));
          for (const warning of snapshot.warnings) console.error(line("warning", warning));
          for (const { key, revision, held } of objects) {
            console.log(
              `${held === undefined ? "ok  " : "held"} ${key} ${revision?.slice(0, 12) ?? ""}${held === undefined ? "" : ` (${held})`}`,
            );
          }
          const found = snapshot.errors.length;
          console.log(`${objects.length} objects, ${found} error${found === 1 ? "" : "s"}`);
        }
        if (objects.length === 0 && snapshot.errors.length === 0) {
          console.error(
            `no Slipway manifests in ${dir}: files end in .yaml or .yml and say apiVersion: slipway.dev/v1alpha1`,
          );
        }
        process.exitCode = snapshot.errors.length > 0 ? 1 : 0;
      } catch (error) {
        console.error(`cannot validate ${dir}: ${describeError(error)}`);
        process.exitCode = 2;
      }
    });
}

const line = (level: string, { location, message }: LoadError) =>
  `${formatLocation(location)}: ${level}: ${message}`;
