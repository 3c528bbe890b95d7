import { Command } from "commander";
import { stringify } from "yaml";
import { describeError } from "../errors.ts";
import { install, installObjects } from "../install/objects.ts";
import { KubeClient } from "../kube/client.ts";

/** `slipway install`: the types and rights that a cluster needs. */
export function installCommand(): Command {
  return new Command("install")
    .description("install the CRDs and the controller's rights, or print them with --export")
    .option(
      "--kubeconfig <file>",
      "kubeconfig of a cluster administrator (default: KUBECONFIG, then ~/.kube/config)",
    )
    .option("--context <name>", "context of the kubeconfig")
    .option("--export", "print YAML instead of applying it")
    .option(
      "--user <name>",
      "user of the controller's kubeconfig (default: its ServiceAccount in the cluster)",
    )
    .option(
      "--tenant <namespace/serviceaccount>",
      "a tenant that Repositories may act as; may be repeated",
      collect,
      [],
    )
    .action(
      async (options: {
        kubeconfig?: string;
        context?: string;
        export?: boolean;
        user?: string;
        tenant: string[];
      }) => {
        try {
          const objects = await installObjects({
            tenants: options.tenant,
            ...(options.user === undefined ? {} : { user: options.user }),
          });
          if (options.export) {
            process.stdout.write(objects.map((object) => stringify(object, { lineWidth: 0 })).join("---\n"));
            return;
          }
          const client = KubeClient.fromKubeconfig({
            ...(options.kubeconfig === undefined ? {} : { path: options.kubeconfig }),
            ...(options.context === undefined ? {} : { context: options.context }),
          });
          await install(client, objects, AbortSignal.timeout(120_000));
          await client.close();
          for (const { kind, metadata } of objects) {
            console.log(
              `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`,
            );
          }
        } catch (error) {
          console.error(`cannot install: ${describeError(error)}`);
          process.exitCode = 2;
        }
      },
    );
}

const collect = (value: string, list: string[]) => [...list, value];
