import { statusContext } from "../../controller/pr/decide.ts";
import { ANNOTATION_REQUESTED_AT } from "../../schemas/kind.ts";
import type { Repository, RepositorySpec } from "../../schemas/repository.ts";
import {
  applyRepository,
  createSecret,
  getObject,
  hasCondition,
  listObjects,
  makeTenant,
  typeOf,
  uniqueName,
  waitForObject,
} from "../scenario/cluster.ts";
import type { Comment, Files, GiteaRepository, Status } from "../scenario/gitea-repository.ts";
import { waitFor } from "../scenario/wait.ts";
import type { World } from "./world.ts";

export interface TenantOptions {
  /** Git needs credentials then, and gets them. */
  readonly private?: boolean;
}

export interface Proposal {
  readonly number: number;
  readonly branch: string;
  readonly sha: string;
}

/** Name of the Repository object that a tenant has. */
export const NAME = "app";
export const CONTEXT = statusContext({ spec: { branch: "main" } });
export const WEBHOOK_SECRET = "canary-webhook-2f6c";

/** A team: a namespace, a git repository, and what they see of Slipway. */
export class Tenant {
  readonly namespace: string;
  readonly repository: GiteaRepository;
  readonly #world: World;
  readonly #private: boolean;

  private constructor(world: World, namespace: string, repository: GiteaRepository, secret: boolean) {
    this.#world = world;
    this.namespace = namespace;
    this.repository = repository;
    this.#private = secret;
  }

  static async create(world: World, options: TenantOptions): Promise<Tenant> {
    const namespace = uniqueName("e2e");
    const { client, gitea, owner, bot, controller } = world;
    const secret = options.private ?? false;
    await makeTenant(client, namespace);
    const repository = await gitea.createRepo(owner, namespace, { private: secret });
    await repository.addCollaborator(bot, "admin");
    await repository.addWebhook(`${controller.url}/webhooks`, WEBHOOK_SECRET);
    const host = new URL(gitea.url).host;
    await createSecret(client, namespace, "forge", { token: bot.token }, [host]);
    await createSecret(client, namespace, "git", { username: bot.login, password: bot.password }, [host]);
    await createSecret(client, namespace, "webhook", { secret: WEBHOOK_SECRET });
    return new Tenant(world, namespace, repository, secret);
  }

  /** The Repository object with pull requests; looks by itself only once in ten minutes, so the webhook does it. */
  async follow(spec: Partial<RepositorySpec> = {}, name: string = NAME): Promise<void> {
    await applyRepository(this.#world.client, this.namespace, name, {
      url: this.repository.cloneUrl,
      interval: "10m",
      forge: {
        type: "Gitea",
        apiURL: `${this.#world.gitea.url}/api/v1`,
        secretRef: { name: "forge" },
      },
      webhook: { secretRef: { name: "webhook" } },
      pullRequests: { enabled: true, onNotEvaluated: "Pass" },
      ...(this.#private ? { secretRef: { name: "git" } } : {}),
      ...spec,
    });
  }

  /** Commits to main. */
  push(files: Files, message = "Change main"): Promise<string> {
    return this.repository.commitFiles("main", files, message);
  }

  /** A branch from main with a pull request. */
  async propose(branch: string, files: Files): Promise<Proposal> {
    const sha = await this.repository.commitFiles(branch, files, `Change ${branch}`, { from: "main" });
    const { number } = await this.repository.openPull(branch, `Change ${branch}`);
    return { number, branch, sha };
  }

  /** Another commit on a pull request's branch. */
  async amend(proposal: Proposal, files: Files): Promise<Proposal> {
    const sha = await this.repository.commitFiles(proposal.branch, files, `Change ${proposal.branch} again`);
    return { ...proposal, sha };
  }

  object<T>(kind: string, name: string): Promise<T | undefined> {
    return getObject<T>(this.#world.client, kind, this.namespace, name);
  }

  async names(kind: string): Promise<string[]> {
    const objects = await listObjects(this.#world.client, kind, this.namespace);
    return objects.map(({ metadata }) => metadata.name).sort();
  }

  /** Waits for an object to be as wanted; when it is not in time, the error ends with what the controller logged. */
  async waitFor<T>(kind: string, name: string, what: string, wanted: (object: T) => boolean): Promise<T> {
    const { client, controller } = this.#world;
    try {
      return await waitForObject<T>(client, [kind, this.namespace, name], what, wanted);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await controller.complaints()}`, { cause: error });
    }
  }

  /** The Repository, once it has said the reason about this commit (about any, unless given). */
  said(reason: string, commit?: string, name: string = NAME): Promise<Repository> {
    return this.waitFor<Repository>("Repository", name, `to say ${reason}`, (object) => {
      const ready = readyOf(object);
      const { lastAttemptedRevision: tried } = object.status ?? {};
      return ready?.reason === reason && (commit === undefined || tried === commit);
    });
  }

  /** The cluster is as in this commit. */
  async synced(commit: string, name: string = NAME): Promise<Repository> {
    return this.waitFor<Repository>("Repository", name, `to be Ready at ${commit}`, (object) => {
      return hasCondition(object, "Ready") && object.status?.lastAppliedRevision === commit;
    });
  }

  /** An object that says Ready of its present generation. */
  ready<T>(kind: string, name: string, also: (object: T) => boolean = () => true): Promise<T> {
    return this.waitFor<T>(
      kind,
      name,
      "to be Ready",
      (object) => hasCondition(object, "Ready") && also(object),
    );
  }

  /** What somebody does who wants it tried again: the annotation that asks for it. */
  async request(kind: string, name: string): Promise<void> {
    const annotations = { [ANNOTATION_REQUESTED_AT]: new Date().toISOString() };
    const patch = { metadata: { annotations } };
    await this.#world.client.patch(typeOf(kind), this.namespace, name, patch, {
      contentType: "application/merge-patch+json",
    });
  }

  async gone(kind: string, name: string): Promise<void> {
    await waitFor(
      `${kind} ${this.namespace}/${name} to be deleted`,
      () => this.names(kind),
      (names) => !names.includes(name),
      { context: () => this.names(kind).then((names) => names.join(", ")) },
    );
  }

  /**
   * The final commit status of a pull request's head.
   * @param options.after the id of a status that does not count any more, nor those before it
   */
  async judged({ sha, number }: Proposal, options: { after?: number } = {}): Promise<Status> {
    const status = await waitFor(
      `a verdict on #${number} ${sha.slice(0, 8)}`,
      () => this.repository.status(sha, CONTEXT),
      (found) => found !== undefined && found.status !== "pending" && found.id > (options.after ?? 0),
      { timeoutMs: 45_000, context: () => this.#world.controller.complaints() },
    );
    return status as Status;
  }

  /** The status says so, final or not. */
  async told({ sha, number }: Proposal, wanted: (status: Status) => boolean): Promise<Status> {
    const status = await waitFor(
      `the status of #${number} ${sha.slice(0, 8)}`,
      () => this.repository.status(sha, CONTEXT),
      (found) => found !== undefined && wanted(found),
    );
    return status as Status;
  }

  /** Slipway's one comment. @throws Error when there is none or more than one */
  async comment({ number }: Pick<Proposal, "number">): Promise<Comment> {
    const all = await this.repository.comments(number);
    const ours = all.filter(({ user }) => user.login === this.#world.bot.login);
    const [comment] = ours;
    if (!comment || ours.length !== 1)
      throw new Error(`#${number} has ${ours.length} comments of Slipway's: ${JSON.stringify(all, null, 2)}`);
    return comment;
  }

  /** The comment, once it is there and says so: while nothing is decided, the status is written first. */
  async commented(proposal: Proposal, text: string): Promise<Comment> {
    return waitFor(
      `the comment on #${proposal.number} with ${text}`,
      () => this.comment(proposal),
      ({ body }) => body.includes(text),
      { timeoutMs: 45_000, context: () => this.#world.controller.complaints() },
    );
  }
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export function conditionOf(object: unknown, type: string): Condition | undefined {
  const { status } = (object ?? {}) as { status?: { conditions?: readonly Condition[] } };
  return status?.conditions?.find((condition) => condition.type === type);
}

export const readyOf = (object: unknown): Condition | undefined => conditionOf(object, "Ready");
