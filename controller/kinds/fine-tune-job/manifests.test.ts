import { expect, test } from "vitest";
import { type FineTuneJob, fineTuneJobSpec } from "../../../schemas/fine-tune-job.ts";
import { object } from "../../../test/kind-objects.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { childName, configMap, trainingJob, workClaim } from "./manifests.ts";
import type { Training } from "./training.ts";

const training: Training = {
  identity: "1".repeat(64),
  options: "2".repeat(64),
  attempt: 1,
  revision: "3".repeat(64),
  dataset: `sha256:${"4".repeat(64)}`,
  startedAt: "2030-01-01T00:00:00Z",
  state: "Running",
  commit: "5".repeat(40),
  resumeFrom: `sha256:${"6".repeat(64)}`,
};

const make = (more: object = {}) =>
  object<FineTuneJob>("FineTuneJob", {
    spec: fineTuneJobSpec.parse({
      baseModel: { source: "hf://org/small@main" },
      datasetRef: { name: "rows" },
      ...more,
    }),
  });
interface PodSpec extends Record<string, unknown> {
  containers: [
    {
      image: string;
      env: { name: string; value?: string; valueFrom?: unknown }[];
      volumeMounts: { name: string }[];
    },
  ];
  volumes: Record<string, unknown>[];
}
const podOf = (job: FineTuneJob) =>
  (trainingJob(job, training) as KubeObject & { spec: { template: { spec: PodSpec } } }).spec.template.spec;
const environmentOf = (job: FineTuneJob) =>
  new Map(podOf(job).containers[0].env.map((each) => [each.name, each]));
const specOf = (job: FineTuneJob) =>
  JSON.parse((configMap(job, training, "http://u").data as Record<string, string>)["spec.json"]!) as Record<
    string,
    unknown
  >;

test("the trainer's spec says what the object says", () => {
  const job = make({
    baseModel: { source: "hf://org/small@main", file: "w.gguf" },
    split: "good",
    validationSplit: "test",
    method: "dpo",
    adapter: { r: 4, targetModules: ["q_proj"] },
    hyperparameters: { maxSteps: 30, beta: 0.2, saveSteps: 5 },
    mlflow: { trackingUri: "http://mlflow:5000", experiment: "e", registeredModel: "m", alias: "best" },
  });
  expect(specOf(job)).toEqual({
    framework: "torch",
    method: "dpo",
    identity: training.identity,
    adapter: { type: "lora", r: 4, alpha: 16, dropout: 0, targetModules: ["q_proj"] },
    baseModel: { source: "hf://org/small@main", file: "w.gguf" },
    dataset: { digest: training.dataset, split: "good", validationSplit: "test" },
    hyperparameters: { maxSteps: 30, beta: 0.2, saveSteps: 5 },
    resumeFrom: training.resumeFrom,
    mlflow: {
      trackingUri: "http://mlflow:5000",
      experiment: "e",
      registeredModel: "m",
      alias: "best",
      tags: {
        "slipway.revision": training.revision,
        "slipway.commit": training.commit,
        "slipway.object": "team/finetunejob",
      },
    },
  });
});

test("a pod that may do little and mounts no account's token", () => {
  expect(podOf(make())).toMatchObject({
    restartPolicy: "Never",
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
        terminationMessagePolicy: "FallbackToLogsOnError",
      },
    ],
  });
  const { metadata, spec } = trainingJob(make(), training) as KubeObject & {
    spec: { template: { metadata: { labels: object } } };
  };
  expect(metadata.labels).toEqual({ "slipway.dev/revision": "333333333333" });
  expect(spec.template.metadata.labels).toMatchObject({
    "app.kubernetes.io/managed-by": "slipway",
    "slipway.dev/owner-uid": "uid-FineTuneJob",
  });
});

test("Secrets reach the pod by reference alone", () => {
  const job = make({
    baseModel: {
      source: "hf://org/small",
      endpoint: "https://hub.example.com",
      secretRef: { name: "hub", key: "token" },
    },
    mlflow: { trackingUri: "http://mlflow:5000", experiment: "e", secretRef: { name: "mlflow" } },
  });
  const environment = environmentOf(job);
  const ref = (name: string, key: string) => ({ secretKeyRef: { name, key } });
  expect(environment.get("HF_ENDPOINT")?.value).toBe("https://hub.example.com");
  expect(environment.get("HF_TOKEN")?.valueFrom).toEqual(ref("hub", "token"));
  expect(environment.get("SLIPWAY_TOKEN")?.valueFrom).toEqual(ref(childName(job, training), "token"));
  expect(environment.get("MLFLOW_TRACKING_PASSWORD")?.valueFrom).toEqual({
    secretKeyRef: { name: "mlflow", key: "password", optional: true },
  });
  expect(environmentOf(make()).has("HF_TOKEN")).toBe(false);
});

test("what a person sets for the pod is in it", () => {
  const pod = {
    image: "registry.example.com/trainer:1",
    imagePullPolicy: "Always",
    imagePullSecrets: [{ name: "registry" }],
    resources: { requests: { cpu: "1" }, limits: { memory: "4Gi" } },
    nodeSelector: { pool: "gpu" },
    tolerations: [{ key: "gpu", operator: "Exists" }],
    priorityClassName: "low",
    runtimeClassName: "nvidia",
    serviceAccountName: "puller",
  };
  const { image, imagePullPolicy, resources, ...options } = pod;
  const found = podOf(make({ pod }));
  expect(found).toMatchObject(options);
  expect(found.containers[0]).toMatchObject({ image, imagePullPolicy, resources });
});

test.each([
  [{}, "slipway-trainer:"],
  [{ pod: { resources: { limits: { "nvidia.com/gpu": "1" } } } }, "slipway-trainer-cuda:"],
  [{ framework: "tensorflow", adapter: {} }, "slipway-trainer-tensorflow:"],
])("%j runs the image %s", (more, image) => {
  expect(podOf(make(more)).containers[0].image).toContain(`/${image}`);
});

test("retries, time and queue are the Job's", () => {
  const job = trainingJob(make({ runPolicy: { retries: 1, timeout: "90m", queueName: "gpus" } }), training);
  expect(job.metadata.labels).toMatchObject({ "kueue.x-k8s.io/queue-name": "gpus" });
  expect(job.spec).toMatchObject({
    backoffLimit: 1,
    activeDeadlineSeconds: 5400,
    podReplacementPolicy: "Failed",
  });
});

test("a base model on a volume is mounted, and work may be on a volume of its own", () => {
  const job = make({
    baseModel: { source: "pvc://models/small/v1" },
    workVolume: { size: "10Gi", storageClassName: "fast" },
  });
  expect(specOf(job).baseModel).toEqual({ source: "/base/small/v1" });
  const { volumes, containers } = podOf(job);
  expect(volumes).toContainEqual({
    name: "base",
    persistentVolumeClaim: { claimName: "models", readOnly: true },
  });
  expect(containers[0].volumeMounts).toContainEqual({ name: "base", mountPath: "/base", readOnly: true });
  const claim = workClaim(job, training);
  expect(claim?.spec).toMatchObject({
    storageClassName: "fast",
    resources: { requests: { storage: "10Gi" } },
  });
  expect(volumes).toContainEqual({
    name: "work",
    persistentVolumeClaim: { claimName: claim?.metadata.name },
  });
  expect(environmentOf(job).has("HF_ENDPOINT")).toBe(false);
  expect(workClaim(make(), training)).toBeUndefined();
});

test("a training has one name, which fits, and another object of that name has another", () => {
  const long = { ...make(), metadata: { ...make().metadata, name: `${"n".repeat(50)}.${"m".repeat(12)}` } };
  expect(childName(long, training)).toMatch(/^n{50}-[0-9a-f]{12}$/);
  const again = { ...make(), metadata: { ...make().metadata, uid: "another" } };
  const names = [make(), again].map((job) => childName(job, training));
  expect(new Set([...names, childName(make(), { ...training, attempt: 2 })]).size).toBe(3);
  expect(childName(make(), { ...training })).toBe(names[0]);
});
