import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import type { EvalRun, EvalRunStatus } from "../../schemas/eval-run.ts";
import type { Repository, RepositoryStatus } from "../../schemas/repository.ts";
import { memoryCache } from "../../test/eval-bundles.ts";
import { BASE_SHA, type Files, HEAD_SHA, memorySource, repositoryWith } from "../../test/pull-request.ts";
import { prompt, REPOSITORY, suite } from "../../test/support-repository.ts";
import { rowLines, TRAINING, trainingRows } from "../../test/training-repository.ts";
import { SlipwayError } from "../errors.ts";
import { loadSnapshot } from "../gitops/snapshot.ts";
import { blobDigest } from "../graph/canonical.ts";
import type { EventInput } from "../kube/events.ts";
import type { KubeObject } from "../kube/resources.ts";
import { ObjectStore } from "../kube/store.ts";
import type { CommitStatus, Forge, ForgeComment, PullRequest } from "./forge/forge.ts";
import { okToTest } from "./ok-to-test.ts";
import { PullRequestReconciler } from "./pipeline.ts";

const KEY = "support/llm";
const BASE: Files = { ...REPOSITORY, "suite.yaml": suite({ cases: 5 }) };
const CHANGED: Files = { ...BASE, "prompt.yaml": prompt({ skill: 90 }) };
const PASSED: EvalRunStatus = { verdict: "Pass", passed: true, gates: [] };

interface World {
  /** Files by commit. */
  readonly commits: Record<string, Files>;
  readonly refs: Record<string, string>;
  pulls: PullRequest[];
  repository: Repository;
  now: number;
  /** What fetching this ref throws. */
  readonly broken: Map<string, Error>;
}

/** The reconciler on a cluster, a forge and a git that are objects. */
function world(more: Partial<World> = {}) {
  const it: World = {
    commits: { [BASE_SHA]: BASE, [HEAD_SHA]: CHANGED },
    refs: { "refs/heads/main": BASE_SHA, "refs/pull/7/head": HEAD_SHA },
    pulls: [pull(7)],
    repository: {
      ...repositoryWith({ enabled: true }),
      metadata: { name: "llm", namespace: "support", uid: "r" },
    },
    now: 0,
    broken: new Map(),
    ...more,
  };
  const runs = new ObjectStore<KubeObject>();
  const repositories = new ObjectStore<KubeObject>();
  const statuses = new Map<string, CommitStatus>();
  const comments: (ForgeComment & { readonly number: number })[] = [];
  const blobs = new Map<string, Uint8Array>();
  const uploads = new Set<string>();
  const calls: string[] = [];
  const events: EventInput[] = [];
  const woken: string[] = [];
  const summaries: NonNullable<RepositoryStatus["pullRequests"]>[] = [];
  let version = 0;
  const store = (object: KubeObject) => {
    const metadata = { ...object.metadata, resourceVersion: String(++version), uid: `u${version}` };
    const stored = { ...object, metadata } as KubeObject;
    runs.handle({ type: "modified", object: stored } as never);
    return stored;
  };
  const forge = {
    kind: "GitHub",
    repository: "support/llm",
    maxCommentLength: 65_536,
    login: async () => "slipway",
    listOpenPullRequests: async () => {
      calls.push("list");
      return it.pulls;
    },
    listComments: async (number: number) => {
      calls.push(`comments ${number}`);
      return comments.filter((comment) => comment.number === number);
    },
    createComment: async (number: number, body: string) => {
      const comment = {
        number,
        body,
        id: String(comments.length),
        author: "slipway",
        createdAt: "",
        url: "",
      };
      comments.push(comment);
      return comment;
    },
    updateComment: async (_: number, id: string, body: string) => {
      comments[Number(id)] = { ...comments[Number(id)]!, body };
      return comments[Number(id)]!;
    },
    permission: async (user: string) => (user === "writer" ? "write" : "read"),
    getCommitStatus: async (sha: string, context: string) => statuses.get(`${sha} ${context}`),
    setCommitStatus: async (sha: string, status: CommitStatus) => {
      statuses.set(`${sha} ${status.context}`, status);
    },
  } as unknown as Forge;
  const mirror = {
    resolve: async (ref: string) => {
      const commit = it.refs[ref];
      if (commit === undefined) throw new Error(`no ${ref}`);
      return commit;
    },
    merge: async (_: string, head: string) => {
      calls.push(`merge ${head.slice(0, 4)}`);
      return { tree: head };
    },
  };
  const reconciler = new PullRequestReconciler({
    client: {
      apply: async (_: unknown, object: KubeObject) => {
        calls.push("apply");
        return store(object);
      },
      delete: async (
        _: unknown,
        namespace: string,
        name: string,
        options: { preconditions?: { uid: string } },
      ) => {
        const object = runs.get(`${namespace}/${name}`)!;
        expect(options.preconditions?.uid).toBe(object.metadata.uid);
        calls.push(`delete ${object.metadata.uid}`);
        runs.handle({ type: "deleted", object } as never);
      },
    } as never,
    repositories,
    runs,
    readBefore: () => [],
    sources: {
      mirror: async () => mirror,
      fetch: async (_: unknown, refs: string[]) => {
        calls.push(`fetch ${refs.join(" ")}`);
        for (const ref of refs) if (it.broken.has(ref)) throw it.broken.get(ref);
      },
      snapshot: (_: unknown, treeish: string, path: string) =>
        loadSnapshot(memorySource(it.commits[treeish]!), path),
    } as never,
    state: {
      blobs: {
        put: async (content: string) => {
          const bytes = new TextEncoder().encode(content);
          blobs.set(blobDigest(bytes), bytes);
          return blobDigest(bytes);
        },
        get: async (digest: string) => blobs.get(digest)!,
      },
      reports: { addUpload: async (owner: string, digest: string) => void uploads.add(`${owner} ${digest}`) },
      results: memoryCache(),
    } as never,
    forgeOf: async () => forge,
    recorder: { record: (_: unknown, event: EventInput) => events.push(event) } as never,
    writeSummaries: async (_, list) => void summaries.push(list),
    log: pino({ level: "silent" }) as never,
    wake: (key) => woken.push(key),
    now: () => it.now,
  });
  const reconcile = async () => {
    repositories.handle({
      type: "modified",
      object: {
        ...it.repository,
        metadata: { ...it.repository.metadata, resourceVersion: String(++version) },
      },
    } as never);
    calls.length = 0;
    return reconciler.reconcile(KEY, new AbortController().signal);
  };
  const finish = (status: EvalRunStatus = PASSED) => {
    for (const run of runs.list()) store({ ...run, status } as KubeObject);
  };
  const run = () => runs.list()[0] as unknown as EvalRun;
  const stateOf = (sha = HEAD_SHA) => [...statuses].find(([key]) => key.startsWith(sha))?.[1].state;
  return {
    it,
    runs,
    run,
    store,
    finish,
    reconciler,
    reconcile,
    statuses,
    stateOf,
    comments,
    calls,
    events,
    woken,
    summaries,
    uploads,
  };
}

function pull(number: number, headSha = HEAD_SHA, more: Partial<PullRequest> = {}): PullRequest {
  return { number, headSha, baseBranch: "main", fork: false, ...more } as PullRequest;
}

describe("runs", () => {
  test("name bundles that are noted as their Repository's", async () => {
    const { reconcile, run, uploads } = world();
    await reconcile();
    const { suite, base, head } = run().spec;
    for (const digest of [suite.bundle, base!.bundle, head.bundle])
      expect(uploads).toContain(`Repository/support/llm/r ${digest}`);
  });

  test("are made once, and their verdict decides", async () => {
    const { reconcile, runs, calls, finish, stateOf } = world();
    await reconcile();
    expect(runs.size).toBe(1);
    expect(stateOf()).toBe("pending");
    finish();
    await reconcile();
    expect(calls).not.toContain("apply");
    expect(stateOf()).toBe("success");
  });

  test.each(["suite", "base", "head"] as const)(
    "of the same name and another %s lend no verdict: they are made anew",
    async (part) => {
      const { reconcile, run, store, calls, stateOf } = world();
      await reconcile();
      const { spec, ...rest } = run();
      const other = `sha256:${"0".repeat(64)}`;
      const foreign = { ...spec, [part]: { ...spec[part], bundle: other } };
      const { metadata } = store({ ...rest, spec: foreign, status: PASSED } as unknown as KubeObject);
      await reconcile();
      expect(calls).toContain(`delete ${metadata.uid}`);
      expect(run().spec).toEqual(spec);
      expect(stateOf()).toBe("pending");
    },
  );
});

describe("a head that cannot be fetched", () => {
  const OTHER_SHA = "d".repeat(40);
  const two = () =>
    world({
      commits: { [BASE_SHA]: BASE, [HEAD_SHA]: CHANGED, [OTHER_SHA]: BASE },
      refs: { "refs/heads/main": BASE_SHA, "refs/pull/7/head": HEAD_SHA, "refs/pull/8/head": OTHER_SHA },
      pulls: [pull(7), pull(8, OTHER_SHA)],
    });
  const refused = new SlipwayError("GitUnreachable", "fsck error", { retryable: true });

  test("is the error of its pull request alone", async () => {
    const { it, reconcile, stateOf, statuses, summaries } = two();
    it.broken.set("refs/pull/7/head", refused);
    await reconcile();
    expect(stateOf(HEAD_SHA)).toBe("error");
    expect([...statuses.values()][0]?.description).toContain("fsck error");
    expect(stateOf(OTHER_SHA)).toBe("success");
    expect(summaries.at(-1)).toMatchObject([
      { number: 7, state: "Error" },
      { number: 8, state: "Success" },
    ]);
  });

  test("is tried again at the next poll", async () => {
    const { it, reconcile, stateOf } = two();
    it.broken.set("refs/pull/7/head", refused);
    await reconcile();
    it.broken.clear();
    it.now += 60_000;
    await reconcile();
    expect(stateOf(HEAD_SHA)).toBe("pending");
  });

  test("of the base branch stops all, as nothing can be compared", async () => {
    const { it, reconcile } = two();
    it.broken.set("refs/heads/main", refused);
    await expect(reconcile()).rejects.toThrow("fsck error");
  });
});

test("more pull requests than are looked at are said to be", async () => {
  const pulls = Array.from({ length: 101 }, (_, index) => pull(index + 1));
  const refs = Object.fromEntries(pulls.map(({ number }) => [`refs/pull/${number}/head`, HEAD_SHA]));
  const commits = { [BASE_SHA]: BASE, [HEAD_SHA]: BASE };
  const { reconcile, events, summaries } = world({
    pulls,
    refs: { "refs/heads/main": BASE_SHA, ...refs },
    commits,
  });
  await reconcile();
  expect(events).toContainEqual(expect.objectContaining({ reason: "TooManyPullRequests", type: "Warning" }));
  expect(summaries.at(-1)).toHaveLength(100);
});

test("another branch or address has other pull requests, and is asked about at once", async () => {
  const other = "d".repeat(40);
  const { it, reconcile, calls, runs, summaries, statuses } = world();
  await reconcile();
  it.pulls = [pull(7), pull(8, other, { baseBranch: "next" })];
  it.refs["refs/heads/next"] = BASE_SHA;
  it.refs["refs/pull/8/head"] = other;
  it.commits[other] = BASE;
  it.repository = { ...it.repository, spec: { ...it.repository.spec, branch: "next" } };
  await reconcile();
  expect(calls).toContain("fetch refs/heads/next refs/pull/8/head");
  expect(runs.size).toBe(0);
  expect(summaries.at(-1)).toMatchObject([{ number: 8 }]);

  statuses.clear();
  it.repository = {
    ...it.repository,
    spec: { ...it.repository.spec, url: "https://git.example.com/moved.git" },
  };
  await reconcile();
  expect(calls).toContain("list");
  // What was told to the former forge is not known to this one.
  expect([...statuses.keys()]).toEqual([`${other} slipway/evals (next)`]);
});

describe("pull requests that are no longer evaluated", () => {
  const { forge: _, ...withoutForge } = world().it.repository.spec;
  const { pullRequests: __, ...withoutSettings } = world().it.repository.spec;
  const { spec } = world().it.repository;
  test.each<[string, Repository["spec"]]>([
    ["disabled", { ...spec, pullRequests: { ...spec.pullRequests!, enabled: false } }],
    ["without settings", withoutSettings],
    ["without a forge", withoutForge],
  ])("leave neither runs nor a summary: %s", async (_, changed) => {
    const { it, reconcile, runs, store, run, summaries, calls } = world();
    await reconcile();
    const { metadata, ...rest } = run();
    store({
      ...rest,
      metadata: { ...metadata, name: "merged", labels: { "slipway.dev/repository": "llm" } },
    } as never);
    it.repository = { ...it.repository, spec: changed };
    await reconcile();
    expect(runs.list().map((left) => left.metadata.name)).toEqual(["merged"]);
    expect(summaries.at(-1)).toEqual([]);
    expect(calls).not.toContain("list");
  });

  test("keep their runs while the Repository is only suspended", async () => {
    const { it, reconcile, runs } = world();
    await reconcile();
    it.repository = { ...it.repository, spec: { ...it.repository.spec, suspend: true } };
    await reconcile();
    expect(runs.size).toBe(1);
  });
});

describe("what is asked again", () => {
  test("nothing of git while neither branch moves", async () => {
    const { it, reconcile, calls, finish, stateOf } = world();
    await reconcile();
    expect(calls.filter((call) => call.startsWith("merge"))).toHaveLength(1);
    finish();
    await reconcile();
    expect(stateOf()).toBe("success");
    expect(calls).toEqual(["comments 7"]); // to write the verdict
    it.refs["refs/heads/main"] = "a".repeat(40);
    it.commits["a".repeat(40)] = BASE;
    await reconcile();
    expect(calls.filter((call) => call.startsWith("merge"))).toHaveLength(1);
  });

  test("no comments of a pull request that changes nothing", async () => {
    const { reconcile, calls } = world({ commits: { [BASE_SHA]: BASE, [HEAD_SHA]: BASE } });
    await reconcile();
    expect(calls).toContain("comments 7");
    await reconcile();
    expect(calls).toEqual([]);
  });

  test("a comment that says more than nothing is written after all", async () => {
    const { it, reconcile, comments } = world({ commits: { [BASE_SHA]: BASE, [HEAD_SHA]: BASE } });
    await reconcile();
    expect(comments).toEqual([]);
    const next = "e".repeat(40);
    Object.assign(it.refs, { "refs/pull/7/head": next });
    it.commits[next] = CHANGED;
    it.pulls = [pull(7, next)];
    it.now += 60_000;
    await reconcile();
    expect(comments).toHaveLength(1);
  });

  test("who vouched for a fork, once a poll", async () => {
    const { it, reconcile, calls, comments, runs, finish } = world({
      pulls: [pull(7, HEAD_SHA, { fork: true })],
    });
    await reconcile();
    await reconcile();
    expect(calls).toEqual([]);
    expect(runs.size).toBe(0);
    const body = `/ok-to-test ${HEAD_SHA}`;
    comments.push({ number: 7, body, id: "9", author: "writer", createdAt: "", url: "" });
    it.now += 60_000;
    await reconcile();
    expect(runs.size).toBe(1);
    finish();
    await reconcile();
    expect(calls.filter((call) => call === "comments 7")).toHaveLength(1); // the report's own
    expect(runs.size).toBe(1);
  });
});

test("what was said about a pull request stands when its base has become the same", async () => {
  const { it, reconcile, comments, finish, statuses } = world();
  await reconcile();
  finish();
  await reconcile();
  const said = comments.map(({ body }) => body);
  const status = [...statuses.values()];
  const merged = "a".repeat(40);
  it.refs["refs/heads/main"] = merged;
  it.commits[merged] = CHANGED;
  await reconcile();
  await reconcile();
  expect(comments.map(({ body }) => body)).toEqual(said);
  expect([...statuses.values()]).toEqual(status);
});

describe("training data", () => {
  const changed = { ...TRAINING, "tickets.jsonl": rowLines(trainingRows(50)) };
  const training = (more: Partial<World> = {}) =>
    world({ commits: { [BASE_SHA]: TRAINING, [HEAD_SHA]: changed }, ...more });

  test("is compared beside the reconcile, which is asked for again; then it is in the comment, once", async () => {
    const { reconcile, stateOf, woken, comments } = training();
    await reconcile();
    expect(stateOf()).toBe("pending");
    expect(comments[0]?.body).toContain("is being compared");
    await vi.waitFor(() => expect(woken).toEqual([KEY]), { timeout: 15_000 });
    await reconcile();
    expect(stateOf()).toBe("success");
    expect(comments).toHaveLength(1);
    expect(comments[0]?.body).toContain("**0 rows added, 10 removed, 0 changed**");
    await reconcile();
    expect(woken).toEqual([KEY]);
  });

  test("of a fork is read in only when somebody vouches for it", async () => {
    const { it, reconcile, comments, woken } = training({ pulls: [pull(7, HEAD_SHA, { fork: true })] });
    await reconcile();
    expect(comments[0]?.body).toContain("comes from a fork");
    comments.push({
      number: 7,
      id: String(comments.length),
      body: okToTest(HEAD_SHA),
      author: "writer",
      createdAt: "",
      url: "",
    });
    it.now += 3_600_000;
    await reconcile();
    await vi.waitFor(() => expect(woken).toEqual([KEY]), { timeout: 15_000 });
  });
});
