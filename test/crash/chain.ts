import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Deployment } from "../../controller/kube/resources.ts";
import type { Dataset } from "../../schemas/dataset.ts";
import type { EvalSuite } from "../../schemas/eval-suite.ts";
import type { FineTuneJob } from "../../schemas/fine-tune-job.ts";
import type { ModelDeployment } from "../../schemas/model-deployment.ts";
import type { Monitor } from "../../schemas/monitor.ts";
import type { Repository } from "../../schemas/repository.ts";
import {
  applyRepository,
  clearNamespace,
  hasCondition,
  makeTenant,
  uniqueName,
  waitForObject,
} from "../scenario/cluster.ts";
import type { GiteaRepository } from "../scenario/gitea-repository.ts";
import { waitFor } from "../scenario/wait.ts";
import { type Registered, registered } from "./chain-registry.ts";
import { type ChainState, chainState, damagedBlobs } from "./chain-state.ts";
import { createSecrets, firstCommit, SERVED, secondCommit } from "./chain-story.ts";
import type { ChainWorld } from "./chain-world.ts";
import type { KillPoint } from "./kill-switch.ts";
import { Pods } from "./pods.ts";
import { Recorder } from "./recorder.ts";
import { countLines } from "./sites.ts";
import { Supervisor } from "./supervisor.ts";

/** After a kill the next process may look for a provider's job for 52 s before it makes one. */
const STEP_MS = 150_000;
/** Rows from outside go to a pod. */
const ABOVE_BYTES = 1;

export interface ChainOutcome {
  readonly namespace: string;
  readonly state: ChainState;
  readonly sites: ReadonlyMap<string, number>;
  /** Paths of the writes that made a Job, as the API server answered them. */
  readonly jobsMade: readonly string[];
  /** What MLflow has of the trainings. */
  readonly registered: readonly Registered[];
  readonly providerJobs: number;
  /** Names of the files that the provider was given. */
  readonly providerFiles: readonly string[];
  /** Which transitions the webhook was told of: action and number, as often as it was told. */
  readonly told: readonly string[];
  readonly pullRequests: readonly string[];
  readonly damagedBlobs: readonly string[];
  readonly podTrouble: readonly string[];
  readonly kills: number;
}

/**
 * Rows, trainings, an endpoint that is judged before it serves, and a Monitor that finds fault with it; then other
 * rows, and everything that comes of them. The controller is killed at each of the points, and started again at once.
 */
export async function runChain(world: ChainWorld, points: readonly KillPoint[] = []): Promise<ChainOutcome> {
  const { base, provider } = world;
  const { client } = base;
  const namespace = uniqueName("chain");
  await makeTenant(client, namespace);
  await createSecrets(world, client, namespace);
  await using repository = await base.gitea.createRepo(base.owner, namespace);
  await repository.addCollaborator(base.bot, "admin");
  // Each run is a customer of its own, or it would find the files of the one before.
  for (const list of [provider.jobs, provider.files, world.told]) list.length = 0;
  const recorder = new Recorder(points, () => supervisor.kill());
  base.hooks = recorder;
  const stateDir = join(base.folder, namespace);
  const sitesFile = join(base.folder, `${namespace}.sites`);
  const logFile = join(base.folder, `${namespace}.log`);
  await using supervisor = new Supervisor({
    ...{ kubeconfig: base.kubeconfig, namespace, stateDir, sitesFile, logFile, points },
    work: { port: world.workPort, aboveBytes: ABOVE_BYTES },
    env: { http_proxy: world.servicesProxy, no_proxy: "127.0.0.1,localhost" },
    onKilled: () => recorder.stir(),
  });
  await using pods = new Pods(client, namespace, base.folder, world.python);
  const run = new Run(world, namespace, repository, supervisor, recorder);
  try {
    await run.tell();
    const sites = new Map([...recorder.counts, ...(await countLines(sitesFile))]);
    const inMlflow = await registered(world.mlflow, namespace);
    for (const [i, { runs }] of inMlflow.entries())
      for (const { id } of runs) run.names.set(id, `<run of revision ${i + 1}>`);
    const state = await chainState(client, namespace, inMlflow, run.names);
    await supervisor[Symbol.asyncDispose]();
    return {
      ...{ namespace, state, sites },
      jobsMade: recorder.writes
        .filter(({ site, status }) => site === "api apply Job" && status === 201)
        .map(({ path }) => path.replace(/^.*\/jobs\/([^?]+).*$/, "$1")),
      registered: inMlflow,
      providerJobs: provider.jobs.length,
      providerFiles: provider.files.map(({ filename }) => filename),
      told: world.told.map((key) => key.slice(key.indexOf("/") + 1)),
      pullRequests: await run.pullRequests(),
      damagedBlobs: await damagedBlobs(join(stateDir, "blobs")),
      podTrouble: pods.trouble,
      kills: supervisor.kills,
    };
  } catch (error) {
    const log = await readFile(logFile, "utf8").catch(() => "");
    const told = [(error as Error).message, ...pods.trouble, log.slice(-6_000)];
    throw new Error(told.join("\n"), { cause: error });
  } finally {
    base.hooks = undefined;
    await supervisor[Symbol.asyncDispose]();
    await pods[Symbol.asyncDispose]();
    await clearNamespace(client, namespace);
  }
}

class Run {
  /** What is new in each run, and what to call it. */
  readonly names: Map<string, string>;
  readonly #world: ChainWorld;
  readonly #namespace: string;
  readonly #repository: GiteaRepository;
  readonly #supervisor: Supervisor;
  readonly #recorder: Recorder;
  /** The revision that served before, and the runs that it was judged by. */
  readonly #before = new Map<string, string | undefined>();

  constructor(
    world: ChainWorld,
    namespace: string,
    repository: GiteaRepository,
    supervisor: Supervisor,
    recorder: Recorder,
  ) {
    this.#world = world;
    this.#namespace = namespace;
    this.#repository = repository;
    this.#supervisor = supervisor;
    this.#recorder = recorder;
    this.names = new Map([
      [repository.fullName, "<repository>"],
      [namespace, "<namespace>"],
    ]);
  }

  async tell(): Promise<void> {
    const { base } = this.#world;
    const first = await this.#repository.commitFiles(
      "main",
      firstCommit(this.#world, this.#namespace),
      "Everything",
    );
    this.names.set(first, "<first>");
    await applyRepository(base.client, this.#namespace, "app", {
      url: this.#repository.cloneUrl,
      interval: "1s",
      forge: { type: "Gitea", apiURL: `${base.forge.url}/api/v1`, secretRef: { name: "forge" } },
      pullRequests: { enabled: false, onNotEvaluated: "Pass" },
    });
    await this.#followed(first, 40);
    await this.#ready<Dataset>("Dataset", "web");
    await this.#ready<FineTuneJob>("FineTuneJob", "hosted");
    await this.#wait<Monitor>("Monitor", "triage", "to have told everybody", ({ status }) => {
      const [cases, hook] = status?.actions ?? [];
      return cases?.url !== undefined && (hook?.delivered ?? 0) > 0;
    });
    const second = await this.#repository.commitFiles("main", secondCommit(), "More rows");
    this.names.set(second, "<second>");
    await this.#followed(second, 41);
    await this.#wait("Monitor", "triage", "Ready", (object) => hasCondition(object, "Ready"));
    await this.#settled();
  }

  async pullRequests(): Promise<string[]> {
    const { base } = this.#world;
    const answer = await fetch(
      `${base.gitea.url}/api/v1/repos/${this.#repository.fullName}/pulls?state=all`,
      { headers: { authorization: `token ${base.bot.token}` } },
    );
    const pulls = (await answer.json()) as { head: { ref: string } }[];
    return pulls.map(({ head }) => head.ref.replace(this.#namespace, "<namespace>"));
  }

  /** What comes of a commit's rows is trained, served and judged, and nothing else has pods any more. */
  async #followed(commit: string, rows: number): Promise<void> {
    await this.#ready<Repository>(
      "Repository",
      "app",
      ({ status }) => status?.lastAppliedRevision === commit,
    );
    const { status: data } = await this.#ready<Dataset>(
      "Dataset",
      "tickets",
      ({ status }) => status?.artifact?.rows === rows,
    );
    await this.#ready<FineTuneJob>(
      "FineTuneJob",
      "tuned",
      ({ status }) => status?.training?.dataset === data?.artifact?.digest,
    );
    const { status: deployment } = await this.#ready<ModelDeployment>(
      "ModelDeployment",
      SERVED,
      ({ status }) => status?.rollout === undefined && status?.active !== this.#before.get(SERVED),
    );
    this.#before.set(SERVED, deployment?.active);
    await waitFor(
      "one revision to have pods",
      () => this.#world.base.client.list(Deployment, { namespace: this.#namespace }),
      ({ items }) => items.length === 1,
      { timeoutMs: STEP_MS, signal: this.#supervisor.ended },
    );
    for (const name of ["triage", "regressions"]) {
      const { status } = await this.#ready<EvalSuite>(
        "EvalSuite",
        name,
        (suite) => suite.status?.lastRun !== this.#before.get(name),
      );
      this.#before.set(name, status?.lastRun);
    }
  }

  /** Nothing was written for two seconds, and the last process has had its look at everything. */
  async #settled(): Promise<void> {
    await waitFor(
      "the controller to come to rest",
      async () => {
        const answer = await fetch(`http://127.0.0.1:${this.#world.workPort}/readyz`);
        if (!answer.ok) this.#recorder.stir();
        return this.#recorder.silentMs;
      },
      (silent) => silent > 2_000,
      { timeoutMs: STEP_MS, signal: this.#supervisor.ended },
    );
  }

  #ready<T>(kind: string, name: string, also: (object: T) => boolean = () => true): Promise<T> {
    return this.#wait<T>(kind, name, "Ready", (object) => hasCondition(object, "Ready") && also(object));
  }

  #wait<T>(kind: string, name: string, what: string, wanted: (object: T) => boolean): Promise<T> {
    return waitForObject<T>(
      this.#world.base.client,
      [kind, this.#namespace, name],
      what,
      (object) => {
        this.#supervisor.ended.throwIfAborted();
        return wanted(object);
      },
      STEP_MS,
    );
  }
}
