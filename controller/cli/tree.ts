import { Command, Option } from "commander";
import pc from "picocolors";
import { describeError } from "../errors.ts";
import { PROMETHEUS_RULE } from "../kinds/monitor/effects/prometheus-rule.ts";
import {
  ConfigMap,
  Deployment,
  Job,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  type ResourceType,
  Service,
} from "../kube/resources.ts";
import { ownershipOf, ownershipTree } from "../lineage/ownership.ts";
import { type ClusterOptions, listAll, namespaceOption, SLIPWAY_TYPES, withCluster } from "./listed.ts";

/** What Slipway makes, and what Kubernetes makes of that. Secrets are not read. */
const WORKLOADS: readonly ResourceType[] = [Job, Deployment, ReplicaSet, Pod];
/** These are there or not; what is in them is not read. */
const OTHERS: readonly ResourceType[] = [ConfigMap, Service, PersistentVolumeClaim, PROMETHEUS_RULE];

interface TreeOptions extends ClusterOptions {
  readonly output: "tree" | "json";
}

/** `slipway tree`: every object of Slipway's with what it owns. */
export function treeCommand(): Command {
  return namespaceOption(new Command("tree"))
    .description("show every Slipway object of a namespace with its Jobs, Deployments, Pods and ConfigMaps")
    .addOption(
      new Option("-o, --output <format>", "how to print it").choices(["tree", "json"]).default("tree"),
    )
    .addHelpText("after", "\nExit status: 0 shown, 2 the cluster cannot be read.")
    .action(async (options: TreeOptions) => {
      try {
        const { namespace, listing } = await withCluster(options, async (client, namespace) => ({
          namespace,
          listing: await listAll(client, namespace, [...SLIPWAY_TYPES, ...WORKLOADS], OTHERS),
        }));
        if (listing.forbidden.length > 0)
          console.error(`left out, as you may not list them: ${listing.forbidden.join(", ")}`);
        const roots = ownershipOf(listing.objects, Date.now());
        if (options.output === "json") console.log(JSON.stringify(roots, null, 2));
        else if (roots.length === 0) console.error(`nothing of Slipway's in the namespace ${namespace}`);
        else process.stdout.write(ownershipTree(roots, pc));
      } catch (error) {
        console.error(`cannot show the tree: ${describeError(error)}`);
        process.exitCode = 2;
      }
    });
}
