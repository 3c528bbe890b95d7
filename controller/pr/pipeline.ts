import { durationMs } from "../../schemas/common.ts";
import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { describeError, SlipwayError } from "../errors.ts";
import type { RepositorySources } from "../gitops/sources.ts";
import { canonicalJson } from "../graph/canonical.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { type KubeObject, objectKey } from "../kube/resources.ts";
import type { ObjectStore } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { StateStore } from "../store/store.ts";
import { type Assessment, assess } from "./assess.ts";
import { DatasetDiffs } from "./data/diffs.ts";
import type { ReadSource } from "./data/outside.ts";
import { planDiffs } from "./data/plan.ts";
import { type PullRequestVerdict, verdictOf } from "./decide.ts";
import type { Forge, PullRequest } from "./forge/forge.ts";
import { fetchHeads } from "./heads.ts";
import { isVouched } from "./ok-to-test.ts";
import { planEvaluation } from "./plan.ts";
import { Recent } from "./recent.ts";
import { LABEL_PULL_REQUEST, PullRequestRuns } from "./runs.ts";
import { Teller } from "./tell.ts";

export interface PullRequestDependencies {
  readonly client: KubeClient;
  readonly repositories: ObjectStore<KubeObject>;
  readonly runs: ObjectStore<KubeObject>;
  /** The urls of one of a repository's Datasets as they were read last. */
  readonly readBefore: (repository: Repository, dataset: string) => readonly ReadSource[];
  readonly sources: RepositorySources;
  readonly state: StateStore;
  readonly forgeOf: (repository: Repository) => Promise<Forge>;
  readonly recorder: EventRecorder;
  /** Writes `status.pullRequests` and nothing else. */
  readonly writeSummaries: (
    repository: Repository,
    list: NonNullable<RepositoryStatus["pullRequests"]>,
  ) => Promise<void>;
  /** Asks for another reconcile of a repository, without asking the forge. */
  readonly wake: (key: string) => void;
  readonly log: Logger;
  readonly now: () => number;
}

interface Session {
  /** The address and branch that were asked about: others have other pull requests. */
  readonly source: string;
  readonly polledAt: number;
  readonly pulls: ReadonlyMap<number, PullRequest>;
  /** Pull requests whose head cannot be fetched, and why. */
  readonly unread: ReadonlyMap<number, unknown>;
  /** Whether somebody vouched for a head of a fork, as far as it was asked since the poll. */
  readonly vouched: Map<string, boolean>;
}

/** Most pull requests of one repository that are looked at, the first that the forge names. */
const MAX_PULLS = 100;
/** Assessments that are kept: a reconcile after a run's verdict needs git for nothing. */
const KEPT_ASSESSMENTS = 16;

/** Evaluates the pull requests of repositories and reports on them. One key is one repository. */
export class PullRequestReconciler {
  readonly #deps: PullRequestDependencies;
  readonly #sessions = new Map<string, Session>();
  readonly #poked = new Set<string>();
  readonly #runs: PullRequestRuns;
  readonly #teller: Teller;
  readonly #diffs: DatasetDiffs;
  readonly #assessments = new Recent<Assessment>(KEPT_ASSESSMENTS);

  constructor(dependencies: PullRequestDependencies) {
    this.#deps = dependencies;
    this.#runs = new PullRequestRuns(dependencies);
    this.#diffs = new DatasetDiffs({ ...dependencies, results: dependencies.state.results });
    this.#teller = new Teller(dependencies.recorder, dependencies.log);
  }

  /** The next reconcile asks the forge, whatever the interval says. */
  poke(key: string): void {
    this.#poked.add(key);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number }> {
    const repository = this.#deps.repositories.get(key) as Repository | undefined;
    const settings = repository?.spec.pullRequests;
    if (!repository) {
      this.#forget(key);
      return {};
    }
    if (repository.spec.suspend) {
      this.#sessions.delete(key);
      return {};
    }
    if (!repository.spec.forge || settings === undefined || settings.enabled === false) {
      await this.#end(key, repository, signal);
      return {};
    }
    const interval = durationMs(repository.spec.interval);
    const { forge, session } = await this.#look(key, repository, interval, signal);
    const summaries: NonNullable<RepositoryStatus["pullRequests"]> = [];
    let failure: unknown;
    for (const pull of session.pulls.values()) {
      try {
        if (session.unread.has(pull.number)) throw session.unread.get(pull.number);
        const verdict = await this.#evaluate(repository, forge, session, pull, signal);
        summaries.push({
          number: pull.number,
          headSha: pull.headSha,
          state: STATE[verdict.state],
          summary: verdict.summary.slice(0, 256),
        });
      } catch (error) {
        if (signal.aborted) throw error;
        // One pull request that cannot be read must not stop the others. The next poll fetches it again.
        if (!session.unread.has(pull.number)) failure = error;
        // What the forge listed is out of date: only asking again can mend that, and no webhook need be on its way.
        if (error instanceof SlipwayError && error.code === "ForgeLagging") this.poke(key);
        this.#deps.log.warn(
          { err: error, repository: key, pullRequest: pull.number },
          "cannot evaluate a pull request",
        );
        await this.#teller.failure(repository, forge, pull, error, signal);
        summaries.push({
          number: pull.number,
          headSha: pull.headSha,
          state: "Error",
          summary: describeError(error).slice(0, 256),
        });
      }
    }
    await this.#dropClosed(repository, session, signal);
    await this.#deps.writeSummaries(repository, summaries);
    if (failure instanceof SlipwayError && failure.retryable) throw failure;
    return { requeueAfterMs: Math.max(100, session.polledAt + interval - this.#deps.now()) };
  }

  /** The forge and its open pull requests. What goes wrong with a token or an address is an Event of the Repository. */
  async #look(
    key: string,
    repository: Repository,
    interval: number,
    signal: AbortSignal,
  ): Promise<{ forge: Forge; session: Session }> {
    try {
      const forge = await this.#deps.forgeOf(repository);
      return { forge, session: await this.#poll(key, repository, forge, interval, signal) };
    } catch (error) {
      if (!signal.aborted) {
        const reason = error instanceof SlipwayError ? error.code : "PullRequestsUnreadable";
        const note = `pull requests: ${describeError(error)}`;
        this.#deps.recorder.record(repository as unknown as KubeObject, { type: "Warning", reason, note });
      }
      throw error;
    }
  }

  async #poll(
    key: string,
    repository: Repository,
    forge: Forge,
    interval: number,
    signal: AbortSignal,
  ): Promise<Session> {
    const source = sourceOf(repository);
    let known = this.#sessions.get(key);
    if (known && known.source !== source) {
      this.#forget(key);
      known = undefined;
    }
    const asked = this.#poked.delete(key);
    if (known && !asked && this.#deps.now() - known.polledAt < interval) return known;
    try {
      const polledAt = this.#deps.now();
      const open = await forge.listOpenPullRequests(signal);
      const ours = open.filter((pull) => pull.baseBranch === repository.spec.branch);
      const pulls = ours.slice(0, MAX_PULLS);
      this.#tellTooMany(repository, ours.length);
      const fetch = (refs: readonly string[]) => this.#deps.sources.fetch(repository, refs, signal);
      // Without pull requests there is nothing to compare: the fetch would only keep the Repository's own waiting.
      const unread =
        pulls.length === 0
          ? new Map<number, unknown>()
          : await fetchHeads(fetch, `refs/heads/${repository.spec.branch}`, pulls, signal);
      const session = {
        source,
        polledAt,
        pulls: new Map(pulls.map((pull) => [pull.number, pull])),
        unread,
        vouched: new Map<string, boolean>(),
      };
      this.#sessions.set(key, session);
      return session;
    } catch (error) {
      if (asked) this.#poked.add(key);
      throw error;
    }
  }

  #tellTooMany(repository: Repository, count: number): void {
    if (count <= MAX_PULLS) return;
    const note = `${count} pull requests are open, only ${MAX_PULLS} are evaluated: close some`;
    this.#deps.log.warn({ repository: repository.metadata.name, count }, note);
    this.#deps.recorder.record(repository as unknown as KubeObject, {
      type: "Warning",
      reason: "TooManyPullRequests",
      note,
    });
  }

  async #evaluate(
    repository: Repository,
    forge: Forge,
    session: Session,
    pull: PullRequest,
    signal: AbortSignal,
  ): Promise<PullRequestVerdict> {
    const assessment = await this.#assess(repository, pull);
    const touched = touchesWhatIsJudged(assessment);
    const trusted = !pull.fork || (touched && (await this.#isVouched(forge, session, pull, signal)));
    const plan = planEvaluation(assessment, repository.spec.pullRequests ?? {}, trusted);
    const runs = await this.#runs.ensure(repository, pull, assessment, plan, signal);
    const { base, head } = assessment;
    const { namespace = "", name } = repository.metadata;
    const { readBefore, state } = this.#deps;
    // Read once: both sides are compared on the same, also where a fetch ends in between.
    const read = new Map<string, readonly ReadSource[]>();
    const outside = {
      read: (dataset: string) => {
        const known = read.get(dataset) ?? readBefore(repository, dataset);
        read.set(dataset, known);
        return known;
      },
      locate: (digest: string) => state.blobs.locate(digest),
    };
    const diffs = head ? await planDiffs(base, head, trusted, outside) : [];
    const data = this.#diffs.look(objectKey(namespace, name), namespace, diffs, signal);
    const verdict = verdictOf({
      assessment,
      runs,
      data,
      notEvaluated: plan.notEvaluated,
      onNotEvaluated: repository.spec.pullRequests?.onNotEvaluated ?? "Fail",
    });
    await this.#teller.verdict(repository, forge, pull, assessment, plan, runs, data, verdict, signal);
    return verdict;
  }

  /** Asked once a poll: a comment that vouches comes with a webhook, which makes the next poll. */
  async #isVouched(
    forge: Forge,
    { vouched }: Session,
    { number, headSha }: PullRequest,
    signal: AbortSignal,
  ): Promise<boolean> {
    const key = `${number} ${headSha}`;
    const answer = vouched.get(key) ?? (await isVouched(forge, number, headSha, signal));
    vouched.set(key, answer);
    return answer;
  }

  async #assess(repository: Repository, pull: PullRequest): Promise<Assessment> {
    const { sources } = this.#deps;
    const mirror = await sources.mirror(repository);
    const [baseSha, headSha] = await Promise.all([
      mirror.resolve(`refs/heads/${repository.spec.branch}`),
      mirror.resolve(`refs/pull/${pull.number}/head`),
    ]);
    if (headSha !== pull.headSha) {
      throw new SlipwayError(
        "ForgeLagging",
        `the forge says ${pull.headSha.slice(0, 8)}, git has ${headSha.slice(0, 8)}`,
        {
          retryable: true,
        },
      );
    }
    const { metadata, spec } = repository;
    return this.#assessments.get(canonicalJson([metadata.uid ?? "", baseSha, headSha, spec.path]), () =>
      assess(sources, mirror, repository, { baseSha, headSha }),
    );
  }

  /** Runs of pull requests that are no longer open end with them. */
  async #dropClosed(repository: Repository, session: Session, signal: AbortSignal): Promise<void> {
    await this.#runs.deleteWhere(repository, signal, ({ metadata }) => {
      const number = metadata.labels?.[LABEL_PULL_REQUEST];
      return number !== undefined && !session.pulls.has(Number(number));
    });
    const key = objectKey(repository.metadata.namespace, repository.metadata.name);
    this.#teller.forget(key, (number) => !session.pulls.has(number));
  }

  /** Pull requests are no longer evaluated: nothing of them stays here. */
  async #end(key: string, repository: Repository, signal: AbortSignal): Promise<void> {
    this.#forget(key);
    await this.#runs.deleteWhere(
      repository,
      signal,
      ({ metadata }) => metadata.labels?.[LABEL_PULL_REQUEST] !== undefined,
    );
    await this.#deps.writeSummaries(repository, []);
  }

  #forget(key: string): void {
    this.#sessions.delete(key);
    this.#teller.forget(key, () => true);
  }
}

/** Whether somebody's word is needed for a fork: a suite would run, or files would be read in. */
const touchesWhatIsJudged = ({ impact }: Assessment): boolean =>
  (impact?.suites.length ?? 0) > 0 ||
  (impact?.changes ?? []).some(({ key, change }) => key.startsWith("Dataset/") && change !== "settings");

const sourceOf = ({ spec: { url, branch } }: Repository) => `${url} ${branch}`;

const STATE = { pending: "Pending", success: "Success", failure: "Failure", error: "Error" } as const;
