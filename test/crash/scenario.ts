import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { statusContext } from "../../controller/pr/decide.ts";
import type { EvalSuite } from "../../schemas/eval-suite.ts";
import type { PromptTemplate } from "../../schemas/prompt-template.ts";
import type { Repository } from "../../schemas/repository.ts";
import {
  applyRepository,
  clearNamespace,
  createSecret,
  getObject,
  hasCondition,
  listObjects,
  makeTenant,
  uniqueName,
} from "../scenario/cluster.ts";
import type { GiteaRepository } from "../scenario/gitea-repository.ts";
import { yamlOf } from "../scenario/manifests.ts";
import { type WaitOptions, waitFor } from "../scenario/wait.ts";
import { describePoint, type KillPoint } from "./kill-switch.ts";
import { mask, maskText } from "./mask.ts";
import type { Written } from "./proxy.ts";
import { Recorder } from "./recorder.ts";
import { countLines } from "./sites.ts";
import { deployment, prompt, suite, type Version } from "./story.ts";
import { Supervisor } from "./supervisor.ts";
import type { World } from "./world.ts";

const NAME = "app";
const CONTEXT = statusContext({ spec: { branch: "main" } });
const STEP_MS = 60_000;

export interface Outcome {
  /** Objects, comments and the statuses that count, without what time and chance decide. */
  readonly endState: unknown;
  /** By pull request. */
  readonly comments: ReadonlyMap<number, number>;
  readonly forgeWrites: readonly Written[];
  /** Model calls beyond the first with the same request. */
  readonly repeatedCalls: number;
  readonly modelCalls: number;
  /** Writes by site. */
  readonly sites: ReadonlyMap<string, number>;
  /** All requests by what they are, also those that are no site. */
  readonly labels: ReadonlyMap<string, number>;
  readonly kills: number;
}

/**
 * The demo path, small: sync, a pull request, a push to it, a merge, on a repository and namespace of its own. The
 * controller is killed at `point`, started again at once, and the story goes on.
 */
export async function runScenario(world: World, point?: KillPoint): Promise<Outcome> {
  const namespace = uniqueName("crash");
  const { client } = world;
  await makeTenant(client, namespace);
  const host = new URL(world.forge.url).host;
  await createSecret(client, namespace, "forge", { token: world.bot.token }, [host]);
  await using repository = await world.gitea.createRepo(world.owner, namespace);
  await repository.addCollaborator(world.bot, "admin");
  const before = world.model.requests.length;

  const sitesFile = join(world.folder, `${namespace}.sites`);
  const points = point ? [point] : [];
  const recorder = new Recorder(points, () => supervisor.kill());
  world.hooks = recorder;
  await using supervisor = new Supervisor({
    kubeconfig: world.kubeconfig,
    namespace,
    stateDir: join(world.folder, namespace),
    sitesFile,
    logFile: join(world.folder, `${namespace}.log`),
    points,
    onKilled: () => recorder.stir(),
  });
  const run = new Run(world, namespace, repository, supervisor, recorder);
  try {
    await run.tell();
    const countSites = async () => new Map([...recorder.counts, ...(await countLines(sitesFile))]);
    await run.settle(point, countSites);
    const endState = await run.endState();
    const requests = world.model.requests.slice(before).map((request) => JSON.stringify(request));
    return {
      endState,
      comments: new Map([[run.pull, (await repository.comments(run.pull)).length]]),
      forgeWrites: recorder.forgeWrites,
      modelCalls: requests.length,
      repeatedCalls: requests.length - new Set(requests).size,
      sites: await countSites(),
      labels: recorder.labels,
      kills: supervisor.kills,
    };
  } catch (error) {
    if (error instanceof NotReached) throw error;
    const log = await readFile(join(world.folder, `${namespace}.log`), "utf8").catch(() => "");
    throw new Error(`${(error as Error).message}\n${log.slice(-6_000)}`, { cause: error });
  } finally {
    world.hooks = undefined;
    await supervisor[Symbol.asyncDispose]();
    await clearNamespace(client, namespace);
  }
}

class Run {
  pull = 0;
  readonly #world: World;
  readonly #namespace: string;
  readonly #repository: GiteaRepository;
  readonly #supervisor: Supervisor;
  readonly #recorder: Recorder;
  readonly #names: Map<string, string>;

  constructor(
    world: World,
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
    this.#names = new Map([
      [repository.fullName, "<repository>"],
      [namespace, "<namespace>"],
    ]);
  }

  async tell(): Promise<void> {
    const first = await this.#push("main", 1, "<first>", {
      "model.yaml": yamlOf(deployment(this.#world.model.baseURL)),
      "suite.yaml": yamlOf(suite()),
    });
    await applyRepository(this.#world.client, this.#namespace, NAME, {
      url: this.#repository.cloneUrl,
      interval: "1s",
      forge: { type: "Gitea", apiURL: `${this.#world.forge.url}/api/v1`, secretRef: { name: "forge" } },
      pullRequests: { enabled: true, onNotEvaluated: "Fail" },
    });
    await this.#followed(first);

    const opened = await this.#push("change", 2, "<opened>");
    this.pull = (await this.#repository.openPull("change", "Change the prompt")).number;
    await this.#judged(opened);
    const pushed = await this.#push("change", 3, "<pushed>");
    await this.#judged(pushed);

    const merged = await this.#repository.merge(this.pull);
    this.#names.set(merged, "<merged>");
    await this.#followed(merged);
    await this.#wait(
      "the pull request's runs to be gone",
      () => listObjects(this.#world.client, "EvalRun", this.#namespace),
      (runs) => runs.every(({ spec }) => (spec as { trigger: string }).trigger === "Merge"),
    );
  }

  /** Waits until the kill has happened and nothing more is to come. */
  async settle(
    point: KillPoint | undefined,
    countSites: () => Promise<ReadonlyMap<string, number>>,
  ): Promise<void> {
    await this.#rest();
    if (!point) return;
    if (this.#supervisor.kills === 0) throw new NotReached(point, (await countSites()).get(point.site) ?? 0);
    await this.#rest();
  }

  async #rest(): Promise<void> {
    await this.#wait(
      "the controller to come to rest",
      () => Object.fromEntries(this.#recorder.counts),
      () => this.#recorder.quiet,
    );
  }

  async endState(): Promise<unknown> {
    const { client } = this.#world;
    const kinds = ["Repository", "PromptTemplate", "ModelDeployment", "EvalSuite", "EvalRun", "ConfigMap"];
    const objects = await Promise.all(kinds.map((kind) => listObjects(client, kind, this.#namespace)));
    const comments = await this.#repository.comments(this.pull);
    const statuses: Record<string, unknown> = {};
    for (const [sha, name] of this.#names) {
      if (!/^[0-9a-f]{40}$/.test(sha)) continue;
      const status = await this.#repository.status(sha, CONTEXT);
      if (status) statuses[name] = { state: status.status, description: status.description };
    }
    return {
      objects: mask(objects.flat(), this.#names),
      comments: comments.map(({ body }) => maskText(body, this.#names)),
      statuses,
    };
  }

  async #push(
    branch: string,
    version: Version,
    name: string,
    more: Record<string, string> = {},
  ): Promise<string> {
    const files = { "prompt.yaml": yamlOf(prompt(version)), ...more };
    const sha = await this.#repository.commitFiles(branch, files, `Version ${version}`, { from: "main" });
    this.#names.set(sha, name);
    return sha;
  }

  /** The cluster is at a commit, and the suite has run on it. */
  async #followed(commit: string): Promise<void> {
    const { client } = this.#world;
    await this.#wait(
      `Repository ${NAME} to be Ready at ${commit}`,
      () => getObject<Repository>(client, "Repository", this.#namespace, NAME),
      (object) => hasCondition(object, "Ready") && object?.status?.lastAppliedRevision === commit,
      { show: (object) => object?.status },
    );
    await this.#wait(
      `EvalSuite triage to have run on what ${commit} deploys`,
      async () => {
        const [suites, runs, prompts] = await Promise.all(
          ["EvalSuite", "EvalRun", "PromptTemplate"].map((kind) =>
            listObjects(client, kind, this.#namespace),
          ),
        );
        return { suite: suites?.[0], runs, prompt: prompts?.[0] };
      },
      ({ suite: found, prompt: template }) => {
        const said = (found as unknown as EvalSuite | undefined)?.status;
        const expected = { "<first>": "66.7%", "<merged>": "100.0%" }[this.#names.get(commit) ?? ""];
        return (
          hasCondition(template, "Ready") &&
          (template as unknown as PromptTemplate).status?.revision !== undefined &&
          hasCondition(found, "Ready") &&
          said?.score === expected
        );
      },
    );
  }

  /** The commit has a final status, and the one comment speaks of it. */
  async #judged(commit: string): Promise<void> {
    await this.#wait(
      `a verdict on ${commit}`,
      async () => ({
        status: await this.#repository.status(commit, CONTEXT),
        comments: (await this.#repository.comments(this.pull)).map(({ body }) => body),
      }),
      ({ status, comments }) =>
        status !== undefined &&
        status.status !== "pending" &&
        comments.some((body) => body.includes(commit.slice(0, 8)) && !body.includes("evaluating")),
    );
  }

  #wait<T>(
    what: string,
    probe: () => T | Promise<T>,
    wanted: (value: T) => boolean,
    options: WaitOptions<T> = {},
  ): Promise<T> {
    return waitFor(what, probe, wanted, { timeoutMs: STEP_MS, signal: this.#supervisor.ended, ...options });
  }
}

/** This run made fewer writes at the site than the undisturbed one: how many depends on timing. */
export class NotReached extends Error {
  /** Writes at the site. */
  readonly reached: number;

  constructor(point: KillPoint, reached: number) {
    super(`the run ended without reaching ${describePoint(point)}: it made ${reached} writes there`);
    this.reached = reached;
  }
}
