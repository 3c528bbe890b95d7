import type { Repository } from "../../schemas/repository.ts";
import { SlipwayError } from "../errors.ts";
import { canonicalJson } from "../graph/canonical.ts";
import type { EventRecorder } from "../kube/events.ts";
import { type KubeObject, objectKey } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { Assessment } from "./assess.ts";
import type { DataState } from "./data/state.ts";
import { type PullRequestVerdict, type RunState, statusContext } from "./decide.ts";
import { oneLine } from "./escape.ts";
import type { Forge, PullRequest } from "./forge/forge.ts";
import { upsertStickyComment } from "./forge/sticky.ts";
import type { EvaluationPlan } from "./plan.ts";
import { renderReport } from "./report.ts";

/** What was told to the forge about a pull request last, so that it is not told again. */
interface Told {
  readonly headSha: string;
  readonly status: string;
  readonly comment: string | undefined;
  /** There is no comment of ours, and none is needed. */
  readonly silent: boolean;
}

/** Tells forges about pull requests: one comment, one commit status, each written only when it says something new. */
export class Teller {
  readonly #recorder: EventRecorder;
  readonly #log: Logger;
  readonly #told = new Map<string, Told>();

  constructor(recorder: EventRecorder, log: Logger) {
    this.#recorder = recorder;
    this.#log = log;
  }

  /** Writes comment and commit status where they differ from what the forge has. */
  async verdict(
    repository: Repository,
    forge: Forge,
    pull: PullRequest,
    assessment: Assessment,
    plan: EvaluationPlan,
    runs: readonly RunState[],
    data: readonly DataState[],
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
    const comment = renderReport({ repository, pull, assessment, plan, runs, data, verdict, limit });
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
      this.#recorder.record(repository as unknown as KubeObject, {
        type: verdict.state === "success" ? "Normal" : "Warning",
        reason: "PullRequestEvaluated",
        note: `#${pull.number}: ${verdict.state}, ${verdict.summary}`,
      });
    }
  }

  /** A required check must not hang without a reason, whatever went wrong here. */
  async failure(
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
      this.#log.warn({ err, pullRequest: pull.number }, "cannot tell the forge about it either");
    }
  }

  /** Forgets pull requests of a repository, so that a reopened one is told again. */
  forget(key: string, closed: (number: number) => boolean): void {
    const prefix = `${key}#`;
    for (const id of this.#told.keys()) {
      if (id.startsWith(prefix) && closed(Number(id.slice(prefix.length)))) this.#told.delete(id);
    }
  }
}

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
