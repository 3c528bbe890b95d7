import { durationMs } from "../../schemas/common.ts";
import type { EvalRun } from "../../schemas/eval-run.ts";
import { API_VERSION, FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_REPOSITORY } from "../../schemas/kind.ts";
import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { describeError, SlipwayError } from "../errors.ts";
import type { SideBundle } from "../eval/bundle.ts";
import type { RunResult } from "../eval/result.ts";
import { evalRunName } from "../eval/run-name.ts";
import { sideRevisionOf } from "../eval/side.ts";
import { resourceTypeOf } from "../gitops/apply.ts";
import type { RepositorySources } from "../gitops/sources.ts";
import { canonicalJson, digestOf } from "../graph/canonical.ts";
import { controllerRef } from "../kube/apply.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { isNotFound } from "../kube/kube-error.ts";
import { type KubeObject, objectKey } from "../kube/resources.ts";
import type { ObjectStore } from "../kube/store.ts";
import type { Logger } from "../log.ts";
import type { StateStore } from "../store/store.ts";
import { type Assessment, assess } from "./assess.ts";
import { type PullRequestVerdict, type RunState, statusContext, verdictOf } from "./decide.ts";
import { oneLine } from "./escape.ts";
import type { Forge, PullRequest } from "./forge/forge.ts";
import { upsertStickyComment } from "./forge/sticky.ts";
import { fetchHeads } from "./heads.ts";
import { isVouched } from "./ok-to-test.ts";
import { type EvaluationPlan, type PlannedRun, planEvaluation } from "./plan.ts";
import { Recent } from "./recent.ts";
import { renderReport } from "./report.ts";

export const LABEL_PULL_REQUEST = "slipway.dev/pull-request";
const EVAL_RUN = resourceTypeOf("EvalRun");

export interface PullRequestDependencies {
  readonly client: KubeClient;
  readonly repositories: ObjectStore<KubeObject>;
  readonly runs: ObjectStore<KubeObject>;
  readonly sources: RepositorySources;
  readonly state: StateStore;
  readonly forgeOf: (repository: Repository) => Promise<Forge>;
  readonly recorder: EventRecorder;
  /** Writes `status.pullRequests` and nothing else. */
  readonly writeSummaries: (
    repository: Repository,
    list: NonNullable<RepositoryStatus["pullRequests"]>,
  ) => Promise<void>;
  readonly log: Logger;
  readonly now: () => number;
}

/** What was told to the forge about a pull request last, so that it is not told again. */
interface Told {
  readonly headSha: string;
  readonly status: string;
  readonly comment: string | undefined;
  /** There is no comment of ours, and none is needed. */
  readonly silent: boolean;
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
  readonly #told = new Map<string, Told>();
  readonly #assessments = new Recent<Assessment>(KEPT_ASSESSMENTS);

  constructor(dependencies: PullRequestDependencies) {
    this.#deps = dependencies;
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
        await this.#tellFailure(repository, forge, pull, error, signal);
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
    const touched = assessment.impact !== undefined && assessment.impact.suites.length > 0;
    const trusted = !pull.fork || (touched && (await this.#isVouched(forge, session, pull, signal)));
    const plan = planEvaluation(assessment, repository.spec.pullRequests ?? {}, trusted);
    const runs = await this.#runs(repository, pull, assessment, plan, signal);
    const verdict = verdictOf({
      assessment,
      runs,
      notEvaluated: plan.notEvaluated,
      onNotEvaluated: repository.spec.pullRequests?.onNotEvaluated ?? "Fail",
    });
    await this.#tell(repository, forge, pull, assessment, plan, runs, verdict, signal);
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

  /** Makes the runs that the plan wants, drops those it no longer wants, and reads what is there. */
  async #runs(
    repository: Repository,
    pull: PullRequest,
    assessment: Assessment,
    plan: EvaluationPlan,
    signal: AbortSignal,
  ): Promise<RunState[]> {
    const { client, state, runs: store } = this.#deps;
    const namespace = repository.metadata.namespace ?? "";
    const states: RunState[] = [];
    for (const planned of plan.runs) {
      const object = await this.#runObject(repository, pull, assessment, planned);
      const { name } = object.metadata;
      const found = store.get(objectKey(namespace, name)) as EvalRun | undefined;
      // A name is no proof: only a run of the same content may lend its verdict.
      let run = found && sameContent(found.spec, object.spec as EvalRun["spec"]) ? found : undefined;
      if (found && !run) await this.#delete(found as unknown as KubeObject, signal);
      run ??= (await client.apply(EVAL_RUN, object, {
        fieldManager: FIELD_MANAGER,
        force: true,
        signal,
      })) as unknown as EvalRun;
      const digest = run.status?.result;
      const result =
        digest === undefined
          ? undefined
          : (JSON.parse(new TextDecoder().decode(await state.blobs.get(digest))) as RunResult);
      states.push({ planned, name, run, result });
    }
    const wanted = new Set(states.map(({ name }) => name));
    await this.#deleteRuns(
      repository,
      signal,
      ({ metadata }) =>
        metadata.labels?.[LABEL_PULL_REQUEST] === String(pull.number) && !wanted.has(metadata.name),
    );
    return states;
  }

  async #runObject(
    repository: Repository,
    pull: PullRequest,
    { baseSha, headSha }: Assessment,
    planned: PlannedRun,
  ): Promise<KubeObject> {
    const { blobs } = this.#deps.state;
    const put = async (side: SideBundle) => ({
      bundle: await blobs.put(canonicalJson(side)),
      revision: sideRevisionOf(side),
    });
    const suite = await blobs.put(canonicalJson(planned.bundle));
    const [base, head] = [await put(planned.base), await put(planned.head)];
    // Named by what is compared, not by the commits: a push that changes neither side finds the run done.
    const id = digestOf([suite, base.bundle, head.bundle]);
    return {
      apiVersion: API_VERSION,
      kind: "EvalRun",
      metadata: {
        name: evalRunName(`pr${pull.number}-`, planned.suite, id),
        namespace: repository.metadata.namespace ?? "",
        labels: {
          [LABEL_MANAGED_BY]: FIELD_MANAGER,
          [LABEL_REPOSITORY]: repository.metadata.name,
          [LABEL_PULL_REQUEST]: String(pull.number),
        },
        ownerReferences: [controllerRef(repository as unknown as KubeObject)],
      },
      spec: {
        suite: { name: planned.suite, revision: planned.bundle.revision, bundle: suite },
        trigger: "PullRequest",
        pullRequest: pull.number,
        repository: repository.metadata.name,
        base: { commit: baseSha, ...base },
        head: { commit: headSha, ...head },
      } satisfies EvalRun["spec"],
    };
  }

  async #tell(
    repository: Repository,
    forge: Forge,
    pull: PullRequest,
    assessment: Assessment,
    plan: EvaluationPlan,
    runs: readonly RunState[],
    verdict: PullRequestVerdict,
    signal: AbortSignal,
  ): Promise<void> {
    const id = `${objectKey(repository.metadata.namespace, repository.metadata.name)}#${pull.number}`;
    const told = this.#told.get(id);
    const context = statusContext(repository);
    const status = { state: verdict.state, context, description: verdict.summary };
    const statusText = canonicalJson(status);
    const marker = `<!-- slipway:report:${repository.metadata.namespace}/${repository.metadata.name} -->`;
    const limit = forge.maxCommentLength - 200;
    const comment = renderReport({ repository, pull, assessment, plan, runs, verdict, limit });
    if (!verdict.report && told?.status !== statusText) {
      // A forge moves the base branch first and closes the pull request a moment later. Seen in between, it changes
      // nothing any more: what was said about it stands.
      const current = await forge.getCommitStatus(pull.headSha, context, signal);
      if (current?.state === "success") {
        this.#told.set(id, { headSha: pull.headSha, status: statusText, comment: undefined, silent: true });
        return;
      }
    }
    const silent =
      !verdict.report &&
      told?.comment === undefined &&
      (told?.silent === true || !(await hasComment(forge, pull.number, marker, signal)));
    const tellStatus = async () => {
      if (told?.headSha === pull.headSha && told.status === statusText) return;
      // After a restart nothing is remembered: what the forge has already is not written again.
      const current = await forge.getCommitStatus(pull.headSha, context, signal);
      if (current?.state === status.state && sameText(current.description, status.description)) return;
      await forge.setCommitStatus(pull.headSha, status, signal);
    };
    const tellComment = async () => {
      if (!silent && told?.comment !== comment)
        await upsertStickyComment(forge, pull.number, marker, comment, signal);
    };
    // A final status may let the pull request be merged: what it is based on stands there by then.
    for (const tell of verdict.state === "pending" ? [tellStatus, tellComment] : [tellComment, tellStatus])
      await tell();
    this.#told.set(id, {
      headSha: pull.headSha,
      status: statusText,
      comment: silent ? undefined : comment,
      silent,
    });
    if (verdict.state !== "pending" && told?.status !== statusText) {
      this.#deps.recorder.record(repository as unknown as KubeObject, {
        type: verdict.state === "success" ? "Normal" : "Warning",
        reason: "PullRequestEvaluated",
        note: `#${pull.number}: ${verdict.state}, ${verdict.summary}`,
      });
    }
  }

  /** A required check must not hang without a reason, whatever went wrong here. */
  async #tellFailure(
    repository: Repository,
    forge: Forge,
    pull: PullRequest,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    // The forge and git disagree for a moment after a push: that passes before anybody reads it.
    if (error instanceof SlipwayError && error.code === "ForgeLagging") return;
    const id = `${objectKey(repository.metadata.namespace, repository.metadata.name)}#${pull.number}`;
    const text = error instanceof SlipwayError ? `${error.code}: ${error.message}` : "an unforeseen error";
    const status = {
      state: "error",
      context: statusContext(repository),
      description: oneLine(text, 200),
    } as const;
    const statusText = canonicalJson(status);
    const told = this.#told.get(id);
    if (told?.headSha === pull.headSha && told.status === statusText) return;
    try {
      await forge.setCommitStatus(pull.headSha, status, signal);
      this.#told.set(id, {
        headSha: pull.headSha,
        status: statusText,
        comment: told?.comment,
        silent: told?.silent ?? false,
      });
    } catch (err) {
      this.#deps.log.warn({ err, pullRequest: pull.number }, "cannot tell the forge about it either");
    }
  }

  /** Runs of pull requests that are no longer open end with them. */
  async #dropClosed(repository: Repository, session: Session, signal: AbortSignal): Promise<void> {
    await this.#deleteRuns(repository, signal, ({ metadata }) => {
      const number = metadata.labels?.[LABEL_PULL_REQUEST];
      return number !== undefined && !session.pulls.has(Number(number));
    });
    const key = objectKey(repository.metadata.namespace, repository.metadata.name);
    this.#forgetTold(key, (number) => !session.pulls.has(number));
  }

  /** Pull requests are no longer evaluated: nothing of them stays here. */
  async #end(key: string, repository: Repository, signal: AbortSignal): Promise<void> {
    this.#forget(key);
    await this.#deleteRuns(
      repository,
      signal,
      ({ metadata }) => metadata.labels?.[LABEL_PULL_REQUEST] !== undefined,
    );
    await this.#deps.writeSummaries(repository, []);
  }

  #forget(key: string): void {
    this.#sessions.delete(key);
    this.#forgetTold(key, () => true);
  }

  #forgetTold(key: string, closed: (number: number) => boolean): void {
    const prefix = `${key}#`;
    for (const id of this.#told.keys()) {
      if (id.startsWith(prefix) && closed(Number(id.slice(prefix.length)))) this.#told.delete(id);
    }
  }

  async #deleteRuns(
    repository: Repository,
    signal: AbortSignal,
    obsolete: (run: KubeObject) => boolean,
  ): Promise<void> {
    const { name, namespace = "" } = repository.metadata;
    for (const run of this.#deps.runs.list(namespace)) {
      if (run.metadata.labels?.[LABEL_REPOSITORY] !== name || !obsolete(run)) continue;
      if (run.metadata.deletionTimestamp !== undefined) continue;
      await this.#delete(run, signal);
    }
  }

  async #delete({ metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    const { uid, namespace = "", name } = metadata;
    try {
      const preconditions = uid === undefined ? {} : { preconditions: { uid } };
      await this.#deps.client.delete(EVAL_RUN, namespace, name, { ...preconditions, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

const sameContent = (a: EvalRun["spec"], b: EvalRun["spec"]) =>
  a.suite.bundle === b.suite.bundle && a.base?.bundle === b.base?.bundle && a.head.bundle === b.head.bundle;

const sourceOf = ({ spec: { url, branch } }: Repository) => `${url} ${branch}`;

const STATE = { pending: "Pending", success: "Success", failure: "Failure", error: "Error" } as const;

/** Forges cut descriptions: equal as far as the shorter goes. */
const sameText = (a: string, b: string) =>
  a === b || (a.length >= 100 && b.startsWith(a.replace(/(…|\.\.\.)$/, "")));

async function hasComment(
  forge: Forge,
  number: number,
  marker: string,
  signal: AbortSignal,
): Promise<boolean> {
  const comments = await forge.listComments(number, signal);
  return comments.some(({ body }) => body.startsWith(marker));
}
