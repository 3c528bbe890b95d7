import { Command, Option } from "commander";
import pc from "picocolors";
import { describeError, SlipwayError } from "../errors.ts";
import { nodeKey } from "../graph/graph.ts";
import { lineageGraph } from "../lineage/lineage.ts";
import { lineageData, lineageMermaid, lineageTree } from "../lineage/show.ts";
import { lineageOf } from "../lineage/walk.ts";
import {
  type ClusterOptions,
  kindCalled,
  listAll,
  namespaceOption,
  SLIPWAY_TYPES,
  withCluster,
} from "./listed.ts";

interface LineageOptions extends ClusterOptions {
  readonly output: "tree" | "json" | "mermaid";
}

/** `slipway lineage KIND/NAME`: from the git commit to the rows, the model, the endpoint and the verdict. */
export function lineageCommand(): Command {
  return namespaceOption(new Command("lineage"))
    .description("show what an object comes from and what comes of it, from git commit to verdict")
    .argument("<kind/name>", "e.g. ModelDeployment/small, mdep/small or dset/tickets")
    .addOption(
      new Option("-o, --output <format>", "how to print it")
        .choices(["tree", "json", "mermaid"])
        .default("tree"),
    )
    .addHelpText("after", "\nExit status: 0 shown, 1 there is no such object, 2 the cluster cannot be read.")
    .action(async (subject: string, options: LineageOptions) => {
      try {
        const { kind, name } = parseSubject(subject);
        const { namespace, listing } = await withCluster(options, async (client, namespace) => ({
          namespace,
          listing: await listAll(client, namespace, SLIPWAY_TYPES),
        }));
        if (listing.forbidden.length > 0)
          console.error(`left out, as you may not list them: ${listing.forbidden.join(", ")}`);
        const graph = lineageGraph(listing.objects, kind === "EvalRun" ? name : undefined);
        const lineage = lineageOf(graph, nodeKey(kind, name));
        if (!lineage) {
          console.error(`there is no ${kind} ${name} in the namespace ${namespace}`);
          process.exitCode = 1;
          return;
        }
        if (options.output === "json") console.log(JSON.stringify(lineageData(lineage), null, 2));
        else
          process.stdout.write(
            options.output === "mermaid" ? lineageMermaid(lineage) : lineageTree(lineage, pc),
          );
      } catch (error) {
        console.error(`cannot show the lineage: ${describeError(error)}`);
        process.exitCode = 2;
      }
    });
}

/** @throws SlipwayError InvalidSubject for what is no `KIND/NAME` of Slipway's */
function parseSubject(text: string): { kind: string; name: string } {
  const [, called = "", name = ""] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  const kind = kindCalled(called)?.kind;
  if (kind === undefined)
    throw new SlipwayError("InvalidSubject", `${JSON.stringify(text)} is no KIND/NAME of Slipway's`, {
      hint: `for example ModelDeployment/small; kinds: ${SLIPWAY_TYPES.map((type) => type.kind).join(", ")}`,
    });
  return { kind, name };
}
