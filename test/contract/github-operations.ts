import { createHash } from "node:crypto";
import type { FakeComment, FakePull, FakeStatus, GitHubState } from "./github-state.ts";
import type { Json } from "./openapi.ts";

export interface Call {
  /** Who asks. */
  readonly login: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Json;
}

export interface Reply {
  readonly status: number;
  /** Only what matters; the rest is filled from the schema. */
  readonly body?: unknown;
  /** All items of a list, of which the asked page is sent. */
  readonly list?: readonly unknown[];
}

const error = (status: number, message: string): Reply => ({ status, body: { message } });
const NOT_FOUND = error(404, "Not Found");
const FORBIDDEN = error(403, "Resource not accessible by personal access token");

function pullBody(state: GitHubState, pull: FakePull, single: boolean): Json {
  const { repository } = state;
  return {
    number: pull.number,
    title: pull.title,
    body: pull.body,
    user: { login: pull.author },
    state: pull.state,
    merged_at: pull.mergedAt,
    draft: pull.draft,
    labels: pull.labels.map((name) => ({ name })),
    html_url: `https://github.example/${repository}/pull/${pull.number}`,
    updated_at: pull.updatedAt,
    base: { ref: pull.base, sha: state.sha(repository, pull.base), repo: { full_name: repository } },
    head: {
      ref: pull.head.branch,
      sha: pull.headSha,
      repo: pull.head.repository === null ? null : { full_name: pull.head.repository },
    },
    ...(single
      ? { merged: pull.mergedAt !== null, mergeable: pull.computing > 0 ? null : pull.state === "open" }
      : {}),
  };
}

function commentBody(state: GitHubState, comment: FakeComment): Json {
  return {
    id: comment.id,
    body: comment.body,
    user: { login: comment.author },
    created_at: comment.createdAt,
    html_url: `https://github.example/${state.repository}/issues/${comment.issue}#issuecomment-${comment.id}`,
  };
}

function statusBody(status: FakeStatus): Json {
  const { state, context, description, targetUrl } = status;
  return { state, context, description, target_url: targetUrl };
}

const branchOf = (ref: string | undefined) => (ref ?? "").replace(/^heads\//, "");

const refBody = (branch: string, sha: string) => ({
  ref: `refs/heads/${branch}`,
  object: { type: "commit", sha },
});

/** git's own name for a blob. */
function blobId(content: string): string {
  const bytes = Buffer.from(content);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function contentBody(path: string, content: string): Json {
  return {
    type: "file",
    name: path.split("/").at(-1),
    path,
    sha: blobId(content),
    size: Buffer.byteLength(content),
    encoding: "base64",
    content: Buffer.from(content).toString("base64"),
  };
}

/** GitHub's behaviour, operation by operation, as far as the adapter meets it. */
export const OPERATIONS: Readonly<Record<string, (state: GitHubState, call: Call) => Reply>> = {
  "users/get-authenticated": (_state, { login }) =>
    login.endsWith("[bot]")
      ? error(403, "Resource not accessible by integration")
      : { status: 200, body: { login } },

  "apps/get-authenticated": () => ({ status: 200, body: { slug: "slipway" } }),

  "pulls/list": (state, { query }) => {
    const wanted = query.get("state") ?? "open";
    const pulls = state.pulls.filter((pull) => wanted === "all" || pull.state === wanted);
    if (query.get("direction") !== "asc") pulls.reverse();
    return { status: 200, list: pulls.map((pull) => pullBody(state, pull, false)) };
  },

  "pulls/get": (state, { parameters }) => {
    const pull = state.pulls.find(({ number }) => number === Number(parameters.pull_number));
    if (!pull) return NOT_FOUND;
    const body = pullBody(state, pull, true);
    pull.computing = Math.max(0, pull.computing - 1);
    return { status: 200, body };
  },

  "pulls/create": (state, { body, login }) => {
    const [owner, branch] = String(body.head).includes(":") ? String(body.head).split(":") : [];
    const repository = owner === undefined ? state.repository : `${owner}/${state.repository.split("/")[1]}`;
    const head = { repository, branch: branch ?? String(body.head) };
    const headSha = state.sha(head.repository, head.branch);
    if (!headSha || !state.sha(state.repository, String(body.base))) return error(422, "Validation Failed");
    const pull: FakePull = {
      number: state.pulls.length + 1,
      title: String(body.title),
      body: String(body.body ?? ""),
      author: login,
      state: "open",
      mergedAt: null,
      draft: body.draft === true,
      base: String(body.base),
      head,
      headSha,
      labels: [],
      updatedAt: state.now(),
      computing: 2,
    };
    state.pulls.push(pull);
    return { status: 201, body: pullBody(state, pull, true) };
  },

  "pulls/merge": (state, { parameters, body, login }) => {
    const pull = state.pulls.find(({ number }) => number === Number(parameters.pull_number));
    if (!pull) return NOT_FOUND;
    if (!state.canWrite(login)) return FORBIDDEN;
    if (pull.state !== "open" || pull.computing > 0) return error(405, "Pull Request is not mergeable");
    if (body.sha !== undefined && body.sha !== pull.headSha) {
      return error(409, "Head branch was modified. Review and try the merge again.");
    }
    pull.state = "closed";
    pull.mergedAt = state.now();
    return {
      status: 200,
      body: { sha: state.push(state.repository, pull.base), merged: true, message: "Merged" },
    };
  },

  "pulls/update": (state, { parameters, body, login }) => {
    const pull = state.pulls.find(({ number }) => number === Number(parameters.pull_number));
    if (!pull) return NOT_FOUND;
    if (!state.canWrite(login) && pull.author !== login) return FORBIDDEN;
    if (typeof body.title === "string") pull.title = body.title;
    if (typeof body.body === "string") pull.body = body.body;
    pull.updatedAt = state.now();
    return { status: 200, body: pullBody(state, pull, true) };
  },

  "git/get-ref": (state, { parameters }) => {
    const branch = branchOf(parameters.ref);
    const sha = state.sha(state.repository, branch);
    return sha ? { status: 200, body: refBody(branch, sha) } : NOT_FOUND;
  },

  "git/create-ref": (state, { body, login }) => {
    const branch = branchOf(String(body.ref).replace(/^refs\//, ""));
    if (!state.canWrite(login)) return FORBIDDEN;
    if (state.sha(state.repository, branch)) return error(422, "Reference already exists");
    const from = [...state.branches].find(([, sha]) => sha === body.sha)?.[0].split(" ")[1];
    if (from === undefined) return error(422, "Object does not exist");
    state.branches.set(`${state.repository} ${branch}`, String(body.sha));
    for (const [key, content] of [...state.files]) {
      if (key.startsWith(`${from} `)) state.files.set(`${branch} ${key.slice(from.length + 1)}`, content);
    }
    return { status: 201, body: refBody(branch, String(body.sha)) };
  },

  "git/delete-ref": (state, { parameters, login }) => {
    const branch = branchOf(parameters.ref);
    if (!state.canWrite(login)) return FORBIDDEN;
    if (!state.branches.delete(`${state.repository} ${branch}`)) return { status: 422 };
    for (const key of [...state.files.keys()]) if (key.startsWith(`${branch} `)) state.files.delete(key);
    return { status: 204 };
  },

  "repos/get-content": (state, { parameters, query }) => {
    const content = state.files.get(`${query.get("ref")} ${parameters.path}`);
    if (content === undefined) return NOT_FOUND;
    return { status: 200, body: contentBody(parameters.path ?? "", content) };
  },

  "repos/create-or-update-file-contents": (state, { parameters, body, login }) => {
    if (!state.canWrite(login)) return FORBIDDEN;
    const branch = String(body.branch);
    const path = parameters.path ?? "";
    if (!state.sha(state.repository, branch)) return error(404, `Branch ${branch} not found`);
    const before = state.files.get(`${branch} ${path}`);
    if (before !== undefined && body.sha === undefined)
      return error(422, `Invalid request. "sha" wasn't supplied.`);
    if (before !== undefined && body.sha !== blobId(before))
      // GitHub's own 409 fits both of the document's schemas for it, where exactly one has to fit.
      return error(422, `${path} does not match ${String(body.sha)}`);
    const content = Buffer.from(String(body.content), "base64").toString("utf8");
    state.files.set(`${branch} ${path}`, content);
    const commit = { sha: state.push(state.repository, branch), message: body.message };
    return {
      status: before === undefined ? 201 : 200,
      body: { content: { path, sha: blobId(content) }, commit },
    };
  },

  "issues/list-comments": (state, { parameters }) => {
    const issue = Number(parameters.issue_number);
    if (!state.pulls.some(({ number }) => number === issue)) return NOT_FOUND;
    const comments = state.comments.filter((comment) => comment.issue === issue);
    return { status: 200, list: comments.map((comment) => commentBody(state, comment)) };
  },

  "issues/create-comment": (state, { parameters, body, login }) => {
    const issue = Number(parameters.issue_number);
    if (!state.pulls.some(({ number }) => number === issue)) return NOT_FOUND;
    if (String(body.body).length > 65_536)
      return error(422, "Body is too long (maximum is 65536 characters)");
    const comment = {
      id: state.nextId(),
      issue,
      body: String(body.body),
      author: login,
      createdAt: state.now(),
    };
    state.comments.push(comment);
    return { status: 201, body: commentBody(state, comment) };
  },

  "issues/update-comment": (state, { parameters, body, login }) => {
    const comment = state.comments.find(({ id }) => id === Number(parameters.comment_id));
    if (!comment) return NOT_FOUND;
    if (comment.author !== login && !state.canWrite(login)) return FORBIDDEN;
    comment.body = String(body.body);
    return { status: 200, body: commentBody(state, comment) };
  },

  "issues/delete-comment": (state, { parameters, login }) => {
    const comment = state.comments.find(({ id }) => id === Number(parameters.comment_id));
    if (!comment) return NOT_FOUND;
    if (comment.author !== login && !state.canWrite(login)) return FORBIDDEN;
    state.comments = state.comments.filter((other) => other !== comment);
    return { status: 204 };
  },

  "repos/create-commit-status": (state, { parameters, body, login }) => {
    const sha = parameters.sha ?? "";
    if (!state.canWrite(login)) return NOT_FOUND;
    if (!state.knows(sha)) return error(422, `No commit found for SHA: ${sha}`);
    const description = typeof body.description === "string" ? body.description : null;
    if (description !== null && description.length > 140) {
      return error(422, "Validation Failed: description is too long (maximum is 140 characters)");
    }
    const status: FakeStatus = {
      id: state.nextId(),
      sha,
      state: String(body.state),
      context: String(body.context ?? "default"),
      description,
      targetUrl: typeof body.target_url === "string" ? body.target_url : null,
      creator: login,
    };
    state.statuses.push(status);
    return { status: 201, body: { ...statusBody(status), creator: { login } } };
  },

  "repos/get-combined-status-for-ref": (state, { parameters, query }) => {
    const sha = parameters.ref ?? "";
    if (!state.knows(sha)) return NOT_FOUND;
    const latest = new Map<string, FakeStatus>();
    for (const status of state.statuses) if (status.sha === sha) latest.set(status.context, status);
    const all = [...latest.values()].map(statusBody);
    const size = Number(query.get("per_page") ?? 30);
    const start = (Number(query.get("page") ?? 1) - 1) * size;
    const body = { sha, state: "pending", total_count: all.length, statuses: all.slice(start, start + size) };
    return { status: 200, body };
  },

  "repos/get-collaborator-permission-level": (state, { parameters }) => {
    const permission = state.permissions.get(parameters.username ?? "");
    if (permission === undefined) return error(404, `${parameters.username} is not a user`);
    return { status: 200, body: { permission, role_name: permission } };
  },
};
