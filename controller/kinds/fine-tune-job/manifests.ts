import { durationMs } from "../../../schemas/common.ts";
import type { FineTuneJob, FineTuneJobSpec } from "../../../schemas/fine-tune-job.ts";
import { FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_OWNER_UID, LABEL_REVISION } from "../../../schemas/kind.ts";
import { canonicalJson, digestOf } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { IMAGES } from "../images.ts";
import { CONTAINER_SECURITY, WORK_POD } from "../pod-parts.ts";
import { tokenFrom } from "../work-token.ts";
import { BASE_FOLDER, claimOf, jobSpec } from "./job-spec.ts";
import { FINAL_EXIT_CODES } from "./pods.ts";
import { inputOf, type Training } from "./training.ts";

/** A pod that is asked to stop stores a checkpoint first. */
const GRACE_SECONDS = 120;
const ID_LENGTH = 12;

/**
 * The name of everything of one training: the same training has the same name, so that it is made once. With the
 * uid, because an object that is made again under its name must not take over the pods of the one before.
 */
export function childName(job: FineTuneJob, training: Training): string {
  const id = digestOf({ uid: job.metadata.uid ?? "", input: inputOf(training) }).slice(0, ID_LENGTH);
  return `${job.metadata.name.slice(0, 63 - ID_LENGTH - 1).replace(/[-.]+$/, "")}-${id}`;
}

/** @param url of the controller, as pods reach it */
export function configMap(job: FineTuneJob, training: Training, url: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: childName(job, training) },
    data: { "spec.json": canonicalJson(jobSpec(job, training)), url },
  };
}

export function workClaim(job: FineTuneJob, training: Training): KubeObject | undefined {
  const { workVolume } = job.spec;
  if (!workVolume) return undefined;
  const { size, storageClassName } = workVolume;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: childName(job, training) },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  };
}

/** The Job of a training. */
export function trainingJob(job: FineTuneJob, training: Training): KubeObject {
  const { runPolicy } = job.spec;
  const name = childName(job, training);
  const queue: Record<string, string> =
    runPolicy.queueName === undefined ? {} : { "kueue.x-k8s.io/queue-name": runPolicy.queueName };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, labels: { [LABEL_REVISION]: training.revision.slice(0, 12), ...queue } },
    spec: {
      backoffLimit: runPolicy.retries,
      activeDeadlineSeconds: Math.ceil(durationMs(runPolicy.timeout) / 1000),
      // A second pod beside one that still ends would train the same in vain.
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          // In this order: what another pod would not mend, and what was not the pod's fault.
          {
            action: "FailJob",
            onExitCodes: { containerName: "trainer", operator: "In", values: [...FINAL_EXIT_CODES] },
          },
          { action: "Ignore", onExitCodes: { containerName: "trainer", operator: "In", values: [143] } },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        metadata: {
          labels: {
            [LABEL_MANAGED_BY]: FIELD_MANAGER,
            [LABEL_OWNER_UID]: job.metadata.uid ?? "",
            [LABEL_REVISION]: training.revision.slice(0, 12),
            "app.kubernetes.io/name": "slipway-trainer",
          },
        },
        spec: podSpec(job.spec, name),
      },
    },
  };
}

function podSpec(spec: FineTuneJobSpec, name: string): Record<string, unknown> {
  const { pod = {}, workVolume, baseModel } = spec;
  const { image, imagePullPolicy, resources, ...options } = pod;
  const claim = claimOf(baseModel.source);
  return {
    ...WORK_POD,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    ...options,
    containers: [
      {
        name: "trainer",
        image: image ?? defaultImage(spec),
        ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }),
        args: ["/etc/slipway/spec.json"],
        env: environment(spec, name),
        ...(resources === undefined ? {} : { resources }),
        // A library that aborts leaves no message, but its last line in the log says why.
        terminationMessagePolicy: "FallbackToLogsOnError",
        securityContext: CONTAINER_SECURITY,
        volumeMounts: [
          { name: "spec", mountPath: "/etc/slipway", readOnly: true },
          { name: "work", mountPath: "/work" },
          { name: "tmp", mountPath: "/tmp" },
          { name: "shm", mountPath: "/dev/shm" },
          ...(claim ? [{ name: "base", mountPath: BASE_FOLDER, readOnly: true }] : []),
        ],
      },
    ],
    volumes: [
      { name: "spec", configMap: { name } },
      { name: "work", ...(workVolume ? { persistentVolumeClaim: { claimName: name } } : { emptyDir: {} }) },
      { name: "tmp", emptyDir: {} },
      // Processes of one training share tensors here; the runtime's default is 64 MiB.
      { name: "shm", emptyDir: { medium: "Memory" } },
      ...(claim ? [{ name: "base", persistentVolumeClaim: { claimName: claim.claim, readOnly: true } }] : []),
    ],
  };
}

function defaultImage({ framework, pod }: FineTuneJobSpec): string {
  if (framework === "tensorflow") return IMAGES.trainerTensorflow;
  const { limits = {} } = pod?.resources ?? {};
  return "nvidia.com/gpu" in limits ? IMAGES.trainerCuda : IMAGES.trainer;
}

function environment({ baseModel, mlflow }: FineTuneJobSpec, name: string): Record<string, unknown>[] {
  const secret = (variable: string, from: string, key: string, optional = false) => ({
    name: variable,
    valueFrom: { secretKeyRef: { name: from, key, ...(optional ? { optional } : {}) } },
  });
  return [
    { name: "SLIPWAY_URL", valueFrom: { configMapKeyRef: { name, key: "url" } } },
    { name: "SLIPWAY_TOKEN", valueFrom: tokenFrom(name) },
    { name: "SLIPWAY_WORK", value: "/work" },
    // Libraries keep their caches at home, and the image cannot be written.
    { name: "HOME", value: "/work" },
    ...(baseModel.source.startsWith("hf://") ? [{ name: "HF_ENDPOINT", value: baseModel.endpoint }] : []),
    ...(baseModel.secretRef ? [secret("HF_TOKEN", baseModel.secretRef.name, baseModel.secretRef.key)] : []),
    ...(mlflow?.secretRef
      ? [
          secret("MLFLOW_TRACKING_USERNAME", mlflow.secretRef.name, "username", true),
          secret("MLFLOW_TRACKING_PASSWORD", mlflow.secretRef.name, "password", true),
          secret("MLFLOW_TRACKING_TOKEN", mlflow.secretRef.name, "token", true),
        ]
      : []),
  ];
}
