import type { Cluster } from "../../../controller/dev/cluster.ts";
import { runInside } from "../../../controller/dev/node/namespace.ts";
import type { KubeClient } from "../../../controller/kube/client.ts";
import { PersistentVolumeClaim, type ResourceType } from "../../../controller/kube/resources.ts";
import { waitFor } from "../../scenario/wait.ts";

const PersistentVolume: ResourceType = {
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  namespaced: false,
};

/** The folder, on the node, of the volume behind a claim. */
export async function volumeOf(client: KubeClient, namespace: string, claim: string): Promise<string> {
  const bound = await waitFor(
    `a volume for ${claim}`,
    () => client.get(PersistentVolumeClaim, namespace, claim),
    ({ status }) => (status as { phase?: string } | undefined)?.phase === "Bound",
    { timeoutMs: 60_000 },
  );
  const { volumeName } = bound.spec as { volumeName: string };
  const volume = await client.get(PersistentVolume, undefined, volumeName);
  return (volume.spec as { hostPath: { path: string } }).hostPath.path;
}

/** Volumes of this node's provisioner belong to root and heed no fsGroup, unlike those of real storage. */
export async function openVolume(
  client: KubeClient,
  { node }: Cluster,
  namespace: string,
  claim: string,
): Promise<void> {
  await runInside(node!.pid, "chmod", ["777", await volumeOf(client, namespace, claim)]);
}
