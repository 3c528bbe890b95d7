import type { Dataset } from "../../../schemas/dataset.ts";
import { FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_OWNER_UID } from "../../../schemas/kind.ts";
import { digestOf } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { IMAGES } from "../images.ts";
import { CONTAINER_SECURITY, WORK_POD } from "../pod-parts.ts";
import { tokenFrom } from "../work-token.ts";

const ID_LENGTH = 12;
/** Pods that end without the data being at fault. */
const RETRIES = 5;
/** What a pod ends with when another one would not fare better. */
export const FINAL_EXIT_CODE = 2;
const CONTAINER = "prepare";

/**
 * The name of everything of one preparation. With the uid, because an object that is made again under its name must
 * not take over the pods of the one before.
 * @param key stands for what is prepared, and the attempt
 */
export function jobName({ metadata }: Dataset, key: string): string {
  const id = digestOf({ uid: metadata.uid ?? "", key }).slice(0, ID_LENGTH);
  return `${metadata.name.slice(0, 63 - ID_LENGTH - 1).replace(/[-.]+$/, "")}-${id}`;
}

/** @param input digest of the staged input's manifest; @param url of the controller, as pods reach it */
export function preparationJob(dataset: Dataset, name: string, input: string, url: string): KubeObject {
  const { image, imagePullPolicy, resources, ...options } = dataset.spec.pod ?? {};
  const labels = { [LABEL_MANAGED_BY]: FIELD_MANAGER, [LABEL_OWNER_UID]: dataset.metadata.uid ?? "" };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      backoffLimit: RETRIES,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          {
            action: "FailJob",
            onExitCodes: { containerName: CONTAINER, operator: "In", values: [FINAL_EXIT_CODE] },
          },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        metadata: { labels: { ...labels, "app.kubernetes.io/name": "slipway-prepare" } },
        spec: {
          ...WORK_POD,
          ...options,
          containers: [
            {
              name: CONTAINER,
              image: image ?? IMAGES.controller,
              ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }),
              args: ["work", "prepare"],
              env: [
                { name: "SLIPWAY_URL", value: url },
                { name: "SLIPWAY_TOKEN", valueFrom: tokenFrom(name) },
                { name: "SLIPWAY_INPUT", value: input },
                { name: "SLIPWAY_WORK", value: "/work" },
                { name: "HOME", value: "/work" },
                { name: "TMPDIR", value: "/work" },
              ],
              ...(resources === undefined ? {} : { resources }),
              securityContext: CONTAINER_SECURITY,
              volumeMounts: [{ name: "work", mountPath: "/work" }],
            },
          ],
          volumes: [{ name: "work", emptyDir: {} }],
        },
      },
    },
  };
}
