import { describe, expect, test } from "vitest";
import { evalCase } from "../../../../schemas/eval-suite.ts";
import { repositorySpec } from "../../../../schemas/repository.ts";
import { branchOf, type PullRequestInput } from "../actions/pull-request.ts";
import { type ProposalForge, propose, pullRequest } from "./pull-request.ts";

/** Branches with one file, and pull requests; breaks at the given call, before or after it was done. */
class MemoryForge implements ProposalForge {
  readonly branches = new Map<string, string | undefined>([["main", "# ours\n- id: old\n"]]);
  readonly pulls: {
    number: number;
    headBranch: string;
    fork: boolean;
    url: string;
    body: string;
    title: string;
  }[] = [];
  readonly writes: string[] = [];
  breakAt: { call: string; phase: "before" | "after" } | undefined;

  async #do<T>(call: string, run: () => T): Promise<T> {
    const stop = (phase: "before" | "after") => {
      if (this.breakAt?.call !== call || this.breakAt.phase !== phase) return;
      this.breakAt = undefined;
      throw new Error("the controller was killed");
    };
    stop("before");
    const value = run();
    this.writes.push(call);
    stop("after");
    return value;
  }

  listOpenPullRequests = async () => this.pulls;
  createBranch = (branch: string, from: string) =>
    this.#do("createBranch", () => {
      if (this.branches.has(branch)) throw new Error("exists");
      this.branches.set(branch, this.branches.get(from));
    });
  deleteBranch = (branch: string) => this.#do("deleteBranch", () => void this.branches.delete(branch));
  readFile = async (_path: string, branch: string) => {
    const content = this.branches.get(branch);
    return content === undefined ? undefined : { content, sha: `sha of ${content}` };
  };
  writeFile = ({ branch, content, sha }: { branch: string; content: string; sha?: string }) =>
    this.#do("writeFile", () => {
      const before = this.branches.get(branch);
      if (sha !== (before === undefined ? undefined : `sha of ${before}`)) throw new Error("changed");
      this.branches.set(branch, content);
    });
  createPullRequest = ({ title, body, head }: { title: string; body: string; head: string }) =>
    this.#do("createPullRequest", () => {
      const number = this.pulls.length + 1;
      const pull = { number, headBranch: head, fork: false, url: `https://forge/${number}`, title, body };
      this.pulls.push(pull);
      return pull;
    });
  updatePullRequest = (number: number, words: { title: string; body: string }) =>
    this.#do("updatePullRequest", () => Object.assign(this.pulls[number - 1]!, words));
}

const BRANCH = "slipway/team/monitor-triage";
const input: PullRequestInput = {
  monitor: { namespace: "team", name: "triage" },
  signal: "quality",
  transition: 4,
  run: { name: "run-1", result: "result", suiteBundle: "bundle" },
  suite: { name: "regressions", assert: [{ type: "equals", value: "{{expected}}", weight: 1 }] },
  path: "llm/cases.yaml",
  repository: {
    metadata: { name: "app", namespace: "team" },
    spec: repositorySpec.parse({ url: "https://forge.example.com/a/b.git", serviceAccountName: "team" }),
  },
};
const cases = (...ids: string[]) => ids.map((id) => evalCase.parse({ id, expected: "x" }));
const signal = AbortSignal.timeout(60_000);
const run = (forge: MemoryForge, ...ids: string[]) => propose(input, cases(...ids), forge, signal);

test("a branch, a commit and a pull request, with ids and no model's words", async () => {
  const forge = new MemoryForge();
  expect(await run(forge, "a", "b")).toEqual({ added: 2, url: "https://forge/1" });
  expect(forge.branches.get(BRANCH)).toBe(
    "# ours\n- id: old\n- id: a\n  expected: x\n- id: b\n  expected: x\n",
  );
  expect(forge.branches.get("main")).toBe("# ours\n- id: old\n");
  expect(forge.pulls).toMatchObject([
    { headBranch: BRANCH, title: "Add 2 failing cases of Monitor triage to EvalSuite regressions" },
  ]);
  expect(forge.pulls[0]?.body).toContain("- `a`\n- `b`");
});

test("while it is open, further cases are added to it", async () => {
  const forge = new MemoryForge();
  await run(forge, "a");
  expect(await run(forge, "a", "c")).toEqual({ added: 1, url: "https://forge/1" });
  expect(forge.pulls).toHaveLength(1);
  expect(forge.branches.get(BRANCH)).toContain("- id: a\n  expected: x\n- id: c");
  expect(forge.pulls[0]?.title).toBe("Add 2 failing cases of Monitor triage to EvalSuite regressions");
  expect(forge.pulls[0]?.body).toContain("- `a`\n- `c`");
  expect(await run(forge, "c")).toEqual({ added: 0, url: "https://forge/1" });
});

test("what the suite has already is not proposed, and leaves no branch", async () => {
  const forge = new MemoryForge();
  expect(await run(forge, "old")).toEqual({ added: 0 });
  expect(forge.writes).toEqual([]);
});

test("after it was merged the next begins at the tip of today", async () => {
  const forge = new MemoryForge();
  await run(forge, "a");
  forge.branches.set("main", `${forge.branches.get(BRANCH)}- id: more\n`);
  forge.pulls.length = 0;
  await run(forge, "a", "d");
  expect(forge.branches.get(BRANCH)).toBe(`${forge.branches.get("main")}- id: d\n  expected: x\n`);
});

test("a pull request from a fork that took the branch's name is not ours", async () => {
  const forge = new MemoryForge();
  forge.pulls.push({
    number: 1,
    headBranch: BRANCH,
    fork: true,
    url: "https://forge/1",
    title: "",
    body: "",
  });
  expect(await run(forge, "a")).toEqual({ added: 1, url: "https://forge/2" });
});

describe("killed at any write and tried again, there is one pull request with the cases once", () => {
  const calls = ["deleteBranch", "createBranch", "writeFile", "createPullRequest"];
  test.each(calls.flatMap((call) => [[call, "before"] as const, [call, "after"] as const]))(
    "%s, %s",
    async (call, phase) => {
      const forge = new MemoryForge();
      forge.breakAt = { call, phase };
      await expect(run(forge, "a", "b")).rejects.toThrow("killed");
      await run(forge, "a", "b");
      expect(forge.pulls).toHaveLength(1);
      expect(forge.branches.get(BRANCH)?.match(/- id: \w+/g)).toEqual(["- id: old", "- id: a", "- id: b"]);
    },
  );

  test.each(["before", "after"] as const)("while it is added to, %s writeFile", async (phase) => {
    const forge = new MemoryForge();
    await run(forge, "a");
    forge.breakAt = { call: "writeFile", phase };
    await expect(run(forge, "a", "b")).rejects.toThrow("killed");
    await run(forge, "a", "b");
    expect(forge.branches.get(BRANCH)?.match(/- id: \w+/g)).toEqual(["- id: old", "- id: a", "- id: b"]);
    expect(forge.pulls).toHaveLength(1);
  });
});

test("a branch's name is one that every forge takes", () => {
  const long = { namespace: "n".repeat(63), name: "m".repeat(63) };
  expect(branchOf(long).length).toBeLessThanOrEqual(100);
  expect(branchOf(long)).not.toBe(branchOf({ ...long, name: "m".repeat(62) }));
  expect(branchOf({ namespace: "team", name: "triage" })).toBe(BRANCH);
});

test("takes the failing cases of the run, with the assertions that the suite lacks", async () => {
  const forge = new MemoryForge();
  const side = (pass: boolean) => ({ pass, passRate: Number(pass), score: Number(pass) });
  const stored: Record<string, unknown> = {
    result: {
      cases: [
        { id: "good", target: "t", head: side(true) },
        { id: "bad", target: "t", head: side(false) },
        { id: "old", target: "t", head: side(false) },
      ],
    },
    bundle: {
      assert: [
        { type: "equals", value: "{{expected}}", weight: 1 },
        { type: "latency", threshold: 900, weight: 1 },
      ],
      cases: [
        ...cases("good", "old"),
        evalCase.parse({ id: "bad", vars: { ticket: "Help" }, assert: [{ type: "contains", value: "x" }] }),
      ],
    },
  };
  const blobs = { get: async (digest: string) => new TextEncoder().encode(JSON.stringify(stored[digest])) };
  const handler = pullRequest({ blobs, forgeOf: async () => forge });
  expect(await handler(input as never, { signal } as never)).toMatchObject({ added: 1 });
  const added = forge.branches.get(BRANCH) ?? "";
  expect(added).toContain("- id: bad");
  expect(added).toContain("ticket: Help");
  expect(added).not.toContain("good");
  expect([...added.matchAll(/type: (\S+)/g)].map(([, type]) => type)).toEqual(["latency", "contains"]);
});
