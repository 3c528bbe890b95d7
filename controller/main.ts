import { join } from "node:path";
import type { DatasetStatus } from "../schemas/dataset.ts";
import { ANNOTATION_REQUESTED_AT } from "../schemas/kind.ts";
import { RepositoryReconciler } from "./gitops/reconciler.ts";
import { RepositorySources } from "./gitops/sources.ts";
import { writeRepositoryStatus, writeSummaries } from "./gitops/status-writer.ts";
import { SYSTEM_NAMESPACE } from "./install/rbac.ts";
import { dataset } from "./kinds/dataset/index.ts";
import { readBefore } from "./kinds/dataset/read-before.ts";
import { evalRun } from "./kinds/eval-run/index.ts";
import { evalSuite } from "./kinds/eval-suite/index.ts";
import { fineTuneJob } from "./kinds/fine-tune-job/index.ts";
import { gradeAnswers } from "./kinds/fine-tune-job/selection/grade.ts";
import { modelDeployment } from "./kinds/model-deployment/index.ts";
import { monitor } from "./kinds/monitor/index.ts";
import { promptTemplate } from "./kinds/prompt-template/index.ts";
import { DATASET, EVAL_RUN, REPOSITORY } from "./kinds/types.ts";
import { KubeClient } from "./kube/client.ts";
import { type KubeObject, keyOf, objectKey } from "./kube/resources.ts";
import { SecretReader } from "./kube/secrets.ts";
import type { Logger } from "./log.ts";
import { forgeFactory } from "./pr/forge-of.ts";
import { PullRequestReconciler } from "./pr/pipeline.ts";
import { startHttpServer } from "./runtime/http.ts";
import type { Kind } from "./runtime/kind.ts";
import { type JoinedQueue, Manager } from "./runtime/manager.ts";
import { Metrics } from "./runtime/metrics.ts";
import { openStateStore } from "./store/open.ts";
import type { WriteHook } from "./store/write-hook.ts";
import { webhookRoute } from "./webhooks.ts";
import { workKey } from "./work/key.ts";
import { workRoutes } from "./work/routes.ts";
import { WorkTokens } from "./work/tokens.ts";

/** How one controller process runs. */
export interface ControllerConfig {
  /** Undefined: KUBECONFIG, the cluster it runs in, or ~/.kube/config. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** Follow only this namespace. */
  readonly namespace?: string;
  /** Folder of the database, the blobs and the git mirrors. One process at a time uses it. */
  readonly stateDir: string;
  readonly host: string;
  /** Of /healthz, /readyz, /metrics and /webhooks; 0 takes any free one. */
  readonly port: number;
  /** This process as pods reach it; without it no work is given to pods. */
  readonly workUrl?: string;
  /** Bytes of a Dataset's sources above which a pod prepares them; 256 MiB. */
  readonly prepareInProcessBytes?: number;
  readonly leaderElection: boolean;
  readonly log: Logger;
  /** Called around every write to the state store; for tests. */
  readonly onWrite?: WriteHook;
  readonly onListening?: (url: string) => void;
}

const PREPARE_IN_PROCESS_BYTES = 256 << 20;

/** Puts the parts together and runs until the signal aborts. */
export async function runController(config: ControllerConfig, signal: AbortSignal): Promise<void> {
  const { log, stateDir } = config;
  const metrics = new Metrics();
  const client = KubeClient.fromKubeconfig({
    ...(config.kubeconfig === undefined ? {} : { path: config.kubeconfig }),
    ...(config.context === undefined ? {} : { context: config.context }),
    userAgent: "slipway-controller",
    onRequest: (info) => metrics.observeRequest(info),
  });
  const state = await openStateStore(stateDir, config.onWrite ? { onWrite: config.onWrite } : {});
  try {
    const secrets = new SecretReader({ client });
    const tokens = new WorkTokens(await workKey(stateDir));
    const forgeOf = forgeFactory(secrets);
    const work = { client, secrets, tokens, workUrl: config.workUrl?.replace(/\/+$/, ""), ...state };
    const kinds = [
      promptTemplate,
      dataset({ ...work, above: config.prepareInProcessBytes ?? PREPARE_IN_PROCESS_BYTES }),
      fineTuneJob(work),
      modelDeployment(work),
      evalSuite(state),
      evalRun({ state, secrets }),
      monitor({ ...state, secrets, client, forgeOf }),
    ] as unknown as Kind[];
    const manager = new Manager({
      client,
      kinds,
      state,
      log,
      metrics,
      ...(config.namespace === undefined ? {} : { namespace: config.namespace }),
      ...(config.leaderElection
        ? { leaderElection: { namespace: SYSTEM_NAMESPACE, name: "slipway-controller" } }
        : {}),
    });
    const onEvent = joinRepositories(manager, kinds, { client, state, secrets, forgeOf, stateDir, log });
    const routes = workRoutes({
      tokens,
      blobs: state.blobs,
      reports: state.reports,
      ready: () => manager.readiness().ready,
      uidOf: ({ kind, namespace, name }) => {
        const type = kinds.find((each) => each.type.kind === kind)?.type;
        return type && manager.view.get(type, namespace, name)?.metadata.uid;
      },
      wake: (object) => manager.enqueue(object),
      grade: async (suite, answers) => ({ ...(await gradeAnswers(suite, answers, state.blobs)) }),
      now: Date.now,
    });
    const server = await startHttpServer({
      host: config.host,
      port: config.port,
      readiness: () => manager.readiness(),
      metrics,
      routes: [webhookRoute(manager.informer(REPOSITORY).store, secrets, log, onEvent), ...routes.posts],
      streams: routes.streams,
      log,
    });
    config.onListening?.(
      `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${server.port}`,
    );
    try {
      await manager.run(signal);
    } finally {
      await server.close();
    }
  } finally {
    await state.close();
    await client.close();
  }
}

interface Shared {
  readonly client: KubeClient;
  readonly state: Awaited<ReturnType<typeof openStateStore>>;
  readonly secrets: SecretReader;
  readonly forgeOf: ReturnType<typeof forgeFactory>;
  readonly stateDir: string;
  readonly log: Logger;
}

/** Repositories and their pull requests are no kinds of the engine: they read git and forges themselves. */
function joinRepositories(
  manager: Manager,
  kinds: readonly Kind[],
  { client, state, secrets, forgeOf, stateDir, log }: Shared,
): (keys: readonly string[]) => void {
  const repositories = manager.informer(REPOSITORY).store;
  const runs = manager.informer(EVAL_RUN).store;
  const datasets = manager.informer(DATASET).store;
  const objects = new Map(
    // What people write; runs come of it.
    kinds
      .filter(({ type }) => type !== EVAL_RUN)
      .map(({ type }) => [type.kind, manager.informer(type).store]),
  );
  const sources = new RepositorySources(join(stateDir, "git"), secrets);
  let pullQueue: JoinedQueue | undefined;
  const repositoryReconciler = new RepositoryReconciler({
    client,
    repositories,
    objects,
    state,
    sources,
    recorder: manager.events,
    writeStatus: (repository, status, verdict) =>
      writeRepositoryStatus(client, repository, status, verdict, repositories.get(keyOf(repository))),
    wake: (kind, namespace, name) => manager.enqueue({ kind, namespace, name }),
    onCommit: (key) => {
      pullReconciler.poke(key);
      pullQueue?.add(key);
    },
    now: Date.now,
  });
  const pullReconciler = new PullRequestReconciler({
    client,
    repositories,
    runs,
    readBefore: (repository, name) => readBefore(repository, name, { datasets, intents: state.intents }),
    sources,
    state,
    forgeOf,
    recorder: manager.events,
    writeSummaries: (repository, list) => writeSummaries(client, repository, list),
    wake: (key) => pullQueue?.add(key),
    log,
    now: Date.now,
  });
  const repositoryQueue = manager.join({
    name: "Repository",
    reconcile: (key, signal) => repositoryReconciler.reconcile(key, signal),
  });
  pullQueue = manager.join({
    name: "PullRequest",
    reconcile: (key, signal) => pullReconciler.reconcile(key, signal),
  });

  repositories.subscribe((before, after) => {
    const object = after ?? before;
    if (!object || (before && after && sameRequest(before, after))) return;
    repositoryQueue.add(keyOf(object));
    pullQueue.add(keyOf(object));
  });
  for (const store of objects.values()) {
    store.subscribe((before, after) => {
      const key = repositoryReconciler.affected(before, after);
      if (key !== undefined) repositoryQueue.add(key);
    });
  }
  datasets.subscribe((before, after) => {
    // Pull requests of its Repository are compared on what its urls hold. Where something else applies what is in git,
    // the object does not say whose it is.
    if (!after || readOf(before) === readOf(after)) return;
    for (const repository of repositories.list())
      if (repository.metadata.namespace === after.metadata.namespace) pullQueue.add(keyOf(repository));
  });
  runs.subscribe((before, after) => {
    const object = after ?? before;
    // Progress moves every second; a pull request waits for the verdict alone.
    if (before && after && verdictOf(before) === verdictOf(after)) return;
    const { repository, pullRequest } = (object?.spec ?? {}) as { repository?: string; pullRequest?: number };
    if (object && repository !== undefined && pullRequest !== undefined) {
      pullQueue.add(objectKey(object.metadata.namespace, repository));
    }
  });
  return (keys) => {
    for (const key of keys) {
      repositoryReconciler.poke(key);
      pullReconciler.poke(key);
      repositoryQueue.add(key);
      pullQueue.add(key);
    }
  };
}

/** Stands for where the urls of a Dataset led, and what they held. */
const readOf = (dataset: KubeObject | undefined): string | undefined =>
  (dataset?.status as DatasetStatus | undefined)?.resolution?.sources
    .map(({ resolved, digest }) => `${resolved} ${digest}`)
    .join(" ");

const verdictOf = (run: KubeObject) => (run.status as { verdict?: string } | undefined)?.verdict;

/** True when neither the spec nor what a person asks for has changed: our own status writes. */
function sameRequest(before: KubeObject, after: KubeObject): boolean {
  return (
    before.metadata.generation === after.metadata.generation &&
    before.metadata.annotations?.[ANNOTATION_REQUESTED_AT] ===
      after.metadata.annotations?.[ANNOTATION_REQUESTED_AT]
  );
}
