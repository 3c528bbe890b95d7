import type { KubeClient } from "../../controller/kube/client.ts";
import { KEY } from "../contract/openai-server.ts";
import { createSecret } from "../scenario/cluster.ts";
import { type Manifest, manifest, yamlOf } from "../scenario/manifests.ts";
import { rowLines, trainingRows } from "../training-repository.ts";
import type { ChainWorld } from "./chain-world.ts";
import { prompt, suite } from "./story.ts";

/** The deployment's name, and the model's. */
export const SERVED = "served";
/** What the last version in MLflow is called. */
export const ALIAS = "candidate";
export const CASE_FILE = "cases/regressions.yaml";
export const OLD_CASES = "# Ask Ana before removing one.\n- id: old   # from March\n  expected: billing\n";

const dataset = (name: string, source: object): Manifest =>
  manifest("Dataset", name, {
    format: "completion",
    sources: [{ name: "rows", ...source }],
    steps: [{ name: "dedup", type: "exactDedup" }],
  });

/** Rows in git are prepared by the controller, rows from outside by a Job; each is trained on. */
const datasets = (world: ChainWorld): Manifest[] => [
  dataset("tickets", { files: [{ path: "rows.jsonl" }] }),
  dataset("web", { url: `${world.rows.url}/rows.jsonl` }),
];

const trainings = (world: ChainWorld, registry: string): Manifest[] => [
  manifest("FineTuneJob", "tuned", {
    baseModel: { source: "hf://team/base@main" },
    datasetRef: { name: "tickets" },
    mlflow: { trackingUri: world.mlflow.url, experiment: registry, registeredModel: registry, alias: ALIAS },
    runPolicy: { onChange: "Auto" },
  }),
  manifest("FineTuneJob", "hosted", {
    backend: "openai",
    baseModel: { source: "gpt-4o-mini-2024-07-18" },
    datasetRef: { name: "web" },
    openai: {
      baseURL: `${world.providerProxy.url}/v1`,
      secretRef: { name: "provider", key: "key" },
    },
  }),
];

const served = manifest("ModelDeployment", SERVED, {
  type: "InCluster",
  inCluster: {
    runtime: "Custom",
    image: "registry.example/model-server:1",
    model: { fineTuneJobRef: { name: "tuned" } },
    drainTimeout: "1s",
    startupTimeout: "10m",
    rollout: { gates: [{ suiteRef: { name: "triage" } }] },
  },
});

const regressions = manifest("EvalSuite", "regressions", {
  targets: [{ name: "target", promptRef: { name: "triage" }, modelRef: { name: SERVED } }],
  cases: { files: [{ path: CASE_FILE }] },
  assert: [{ type: "icontains", value: "{{expected}}" }],
});

const monitor = (world: ChainWorld): Manifest =>
  manifest("Monitor", "triage", {
    targetRef: { name: SERVED },
    signals: [
      {
        name: "quality",
        type: "Replay",
        replay: { suiteRef: { name: "triage" } },
        thresholds: { operator: "Below", alert: 0.9 },
        // Whether there is a state before the first replay's depends on timing; this one is nothing to tell of.
        noData: "OK",
      },
    ],
    actions: [
      { name: "cases", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "regressions" } } },
      {
        name: "hook",
        type: "Webhook",
        webhook: { url: `${world.webhookProxy.url}/monitor`, secretRef: { name: "hook", key: "key" } },
      },
    ],
  });

/**
 * From rows to a watched endpoint: everything of the first commit.
 * @param registry name of the experiment and of the model in MLflow
 */
export const firstCommit = (world: ChainWorld, registry: string): Record<string, string> => ({
  "rows.jsonl": rowLines(trainingRows(40)),
  "datasets.yaml": yamlOf(...datasets(world)),
  "trainings.yaml": yamlOf(...trainings(world, registry)),
  "model.yaml": yamlOf(served),
  "prompt.yaml": yamlOf(prompt(1)),
  "suites.yaml": yamlOf(suite(SERVED), regressions),
  "monitor.yaml": yamlOf(monitor(world)),
  [CASE_FILE]: OLD_CASES,
});

/** More rows, so another model, which takes over from the first. */
export const secondCommit = (): Record<string, string> => ({ "rows.jsonl": rowLines(trainingRows(41)) });

export async function createSecrets(
  { base, providerProxy, webhookProxy }: ChainWorld,
  client: KubeClient,
  namespace: string,
): Promise<void> {
  const host = (url: string) => new URL(url).host;
  const forge = [base.forge.url, base.gitea.url].map(host);
  await createSecret(client, namespace, "forge", { token: base.bot.token }, forge);
  await createSecret(client, namespace, "provider", { key: KEY }, [host(providerProxy.url)]);
  await createSecret(client, namespace, "hook", { key: "a key of this test" }, [host(webhookProxy.url)]);
}
