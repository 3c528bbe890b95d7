import type { EvalRun } from "../../schemas/eval-run.ts";
import { API_VERSION, FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_REPOSITORY } from "../../schemas/kind.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { SideBundle, SuiteBundle } from "../eval/bundle.ts";
import type { RunResult } from "../eval/result.ts";
import { evalRunName } from "../eval/run-name.ts";
import { sideRevisionOf } from "../eval/side.ts";
import { resourceTypeOf } from "../gitops/apply.ts";
import { canonicalJson, digestOf } from "../graph/canonical.ts";
import { controllerRef } from "../kube/apply.ts";
import type { KubeClient } from "../kube/client.ts";
import { isNotFound } from "../kube/kube-error.ts";
import { type KubeObject, objectKey } from "../kube/resources.ts";
import type { ObjectStore } from "../kube/store.ts";
import { ownerName } from "../runtime/effects.ts";
import type { StateStore } from "../store/store.ts";
import type { Assessment } from "./assess.ts";
import type { RunState } from "./decide.ts";
import type { PullRequest } from "./forge/forge.ts";
import type { EvaluationPlan, PlannedRun } from "./plan.ts";

export const LABEL_PULL_REQUEST = "slipway.dev/pull-request";
const EVAL_RUN = resourceTypeOf("EvalRun");

export interface PullRequestRunsDependencies {
  readonly client: KubeClient;
  readonly runs: ObjectStore<KubeObject>;
  readonly state: StateStore;
}

/** The EvalRun objects of pull requests: made when a plan wants them, deleted when none does. */
export class PullRequestRuns {
  readonly #deps: PullRequestRunsDependencies;

  constructor(dependencies: PullRequestRunsDependencies) {
    this.#deps = dependencies;
  }

  /** Makes the runs that the plan wants, drops those it no longer wants, and reads what is there. */
  async ensure(
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
      const object = await this.#object(repository, pull, assessment, planned);
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
    await this.deleteWhere(
      repository,
      signal,
      ({ metadata }) =>
        metadata.labels?.[LABEL_PULL_REQUEST] === String(pull.number) && !wanted.has(metadata.name),
    );
    return states;
  }

  async #object(
    repository: Repository,
    pull: PullRequest,
    { baseSha, headSha }: Assessment,
    planned: PlannedRun,
  ): Promise<KubeObject> {
    const { blobs, reports } = this.#deps.state;
    const { namespace = "", name, uid = "" } = repository.metadata;
    const owner = ownerName({ ref: { kind: "Repository", namespace, name }, uid });
    const store = async (bundle: SuiteBundle | SideBundle) => {
      const digest = await blobs.put(canonicalJson(bundle));
      await reports.addUpload(owner, digest);
      return digest;
    };
    const put = async (side: SideBundle) => ({ bundle: await store(side), revision: sideRevisionOf(side) });
    const suite = await store(planned.bundle);
    const [base, head] = [await put(planned.base), await put(planned.head)];
    // Named by what is compared, not by the commits: a push that changes neither side finds the run done.
    const id = digestOf([suite, base.bundle, head.bundle]);
    return {
      apiVersion: API_VERSION,
      kind: "EvalRun",
      metadata: {
        name: evalRunName(`pr${pull.number}-`, planned.suite, id),
        namespace,
        labels: {
          [LABEL_MANAGED_BY]: FIELD_MANAGER,
          [LABEL_REPOSITORY]: name,
          [LABEL_PULL_REQUEST]: String(pull.number),
        },
        ownerReferences: [controllerRef(repository as unknown as KubeObject)],
      },
      spec: {
        suite: { name: planned.suite, revision: planned.bundle.revision, bundle: suite },
        trigger: "PullRequest",
        pullRequest: pull.number,
        repository: name,
        base: { commit: baseSha, ...base },
        head: { commit: headSha, ...head },
      } satisfies EvalRun["spec"],
    };
  }

  /** Deletes the runs of a repository that the predicate names. */
  async deleteWhere(
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
