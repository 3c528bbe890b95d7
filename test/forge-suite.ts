import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Forge } from "../controller/pr/forge/forge.ts";
import { upsertStickyComment } from "../controller/pr/forge/sticky.ts";

/** One repository with a branch `main`, and people to act on it. */
export interface ForgeFixture {
  /** Slipway's own, with the right to write; its pages are small (3 items at most). */
  readonly forge: Forge;
  /** Someone who may only read, and has a fork. */
  readonly outsider: Forge;
  readonly badToken: Forge;
  readonly ownLogin: string;
  readonly outsiderLogin: string;
  readonly descriptionLimit: number;
  /** Pushes a commit to a branch, made from `main` where it is new; returns its sha. */
  push(where: "base" | "fork", branch: string): Promise<string>;
  close(): Promise<void>;
}

const MARKER = "<!-- slipway:report -->";

/** What every adapter does; run against a real Gitea and against GitHub's contract. */
export function describeForge(name: string, setUp: () => Promise<ForgeFixture>): void {
  describe(name, { timeout: 60_000 }, () => {
    let fixture: ForgeFixture;
    let forge: Forge;
    const signal = AbortSignal.timeout(600_000);

    beforeAll(async () => {
      fixture = await setUp();
      forge = fixture.forge;
    }, 120_000);
    afterAll(() => fixture?.close());

    async function open(where: "base" | "fork" = "base") {
      const branch = `topic-${randomUUID().slice(0, 8)}`;
      const sha = await fixture.push(where, branch);
      const request = { title: `Change ${branch}`, body: "Because.", base: "main" };
      const pull =
        where === "base"
          ? await forge.createPullRequest({ ...request, head: branch }, signal)
          : await fixture.outsider.createPullRequest(
              { ...request, head: `${fixture.outsiderLogin}:${branch}` },
              signal,
            );
      return { pull, branch, sha };
    }

    it("knows who it writes as", async () => {
      expect(await forge.login(signal)).toBe(fixture.ownLogin);
    });

    it("opens a pull request and reads it back", async () => {
      const { pull, branch, sha } = await open();
      const read = await forge.getPullRequest(pull.number, signal);
      expect(read).toMatchObject({
        number: pull.number,
        title: `Change ${branch}`,
        author: fixture.ownLogin,
        state: "open",
        merged: false,
        draft: false,
        baseBranch: "main",
        headBranch: branch,
        headSha: sha,
        headRepository: forge.repository,
        fork: false,
        labels: [],
      });
      expect(read.baseSha).toMatch(/^[0-9a-f]{40}$/);
      expect(read.url).toMatch(/^https?:\/\//);
      expect(Date.parse(read.updatedAt)).toBeGreaterThan(0);
    });

    it("tells a fork's pull request", async () => {
      const { pull, sha, branch } = await open("fork");
      expect(await forge.getPullRequest(pull.number, signal)).toMatchObject({
        author: fixture.outsiderLogin,
        headRepository: `${fixture.outsiderLogin}/${forge.repository.split("/")[1]}`,
        headSha: sha,
        headBranch: branch,
        fork: true,
      });
    });

    it("sees the new head after a push", async () => {
      const { pull, branch, sha } = await open();
      const second = await fixture.push("base", branch);
      expect(second).not.toBe(sha);
      await expect
        .poll(async () => (await forge.getPullRequest(pull.number, signal)).headSha, { timeout: 10_000 })
        .toBe(second);
    });

    it("lists every open pull request over several pages, each once", async () => {
      const opened = [];
      for (let count = 0; count < 4; count++) opened.push((await open()).pull.number);
      const numbers = (await forge.listOpenPullRequests(signal)).map((pull) => pull.number);
      expect(numbers).toEqual(expect.arrayContaining(opened));
      expect(new Set(numbers).size).toBe(numbers.length);
    });

    it("lists comments over several pages, oldest first", async () => {
      const { pull } = await open();
      const bodies = ["one", "two", "three", "four", "five", "six", "seven"];
      for (const body of bodies) await forge.createComment(pull.number, body, signal);
      const comments = await forge.listComments(pull.number, signal);
      expect(comments.map((comment) => comment.body)).toEqual(bodies);
      expect(comments.every((comment) => comment.author === fixture.ownLogin)).toBe(true);
    });

    it("changes and deletes a comment; one that is gone is no error", async () => {
      const { pull } = await open();
      const comment = await forge.createComment(pull.number, "first", signal);
      const changed = await forge.updateComment(pull.number, comment.id, "second ✓ — ünïcode", signal);
      expect(changed).toMatchObject({ id: comment.id, body: "second ✓ — ünïcode" });
      expect((await forge.listComments(pull.number, signal))[0]?.body).toBe("second ✓ — ünïcode");
      await forge.deleteComment(pull.number, comment.id, signal);
      await forge.deleteComment(pull.number, comment.id, signal);
      expect(await forge.listComments(pull.number, signal)).toEqual([]);
      await expect(forge.updateComment(pull.number, comment.id, "third", signal)).rejects.toMatchObject({
        code: "ForgeNotFound",
      });
    });

    it("keeps one comment a marker and leaves other people's alone", async () => {
      const { pull } = await open("fork");
      const forged = await fixture.outsider.createComment(pull.number, `${MARKER}\nall passed`, signal);
      const first = await upsertStickyComment(forge, pull.number, MARKER, "running", signal);
      expect(first.action).toBe("created");
      const same = await upsertStickyComment(forge, pull.number, MARKER, "running", signal);
      expect(same.action).toBe("unchanged");
      await forge.createComment(pull.number, `${MARKER}\na duplicate`, signal);
      const second = await upsertStickyComment(forge, pull.number, MARKER, "done", signal);
      expect(second).toMatchObject({ action: "updated", comment: { id: first.comment.id } });
      const bodies = (await forge.listComments(pull.number, signal)).map(({ id, body }) => ({ id, body }));
      expect(bodies).toEqual([
        { id: forged.id, body: `${MARKER}\nall passed` },
        { id: first.comment.id, body: `${MARKER}\ndone` },
      ]);
    });

    it("two at once end with one comment", async () => {
      const { pull } = await open();
      await Promise.all(
        ["a", "b", "c"].map((body) => upsertStickyComment(forge, pull.number, MARKER, body, signal)),
      );
      await upsertStickyComment(forge, pull.number, MARKER, "last", signal);
      expect((await forge.listComments(pull.number, signal)).map((comment) => comment.body)).toEqual([
        `${MARKER}\nlast`,
      ]);
    });

    it("sets a commit status and reads the latest of each context", async () => {
      const { sha } = await open();
      expect(await forge.getCommitStatus(sha, "slipway/evals (main)", signal)).toBeUndefined();
      for (let other = 0; other < 5; other++) {
        await forge.setCommitStatus(
          sha,
          { state: "error", context: `other ${other}`, description: "no" },
          signal,
        );
      }
      const context = "slipway/evals (main)";
      const pending = { state: "pending", context, description: "running" } as const;
      await forge.setCommitStatus(sha, pending, signal);
      expect(await forge.getCommitStatus(sha, context, signal)).toEqual(pending);
      const done = {
        state: "failure",
        context,
        description: "regressed",
        targetUrl: "https://example.com/7",
      } as const;
      await forge.setCommitStatus(sha, done, signal);
      expect(await forge.getCommitStatus(sha, context, signal)).toEqual(done);
      // The one furthest down the pages.
      expect(await forge.getCommitStatus(sha, "other 0", signal)).toMatchObject({ state: "error" });
      expect(await forge.getCommitStatus(sha, "absent", signal)).toBeUndefined();
    });

    it("sets a status on the head of a fork", async () => {
      const { sha } = await open("fork");
      await forge.setCommitStatus(sha, { state: "success", context: "plan", description: "" }, signal);
      expect(await forge.getCommitStatus(sha, "plan", signal)).toMatchObject({ state: "success" });
    });

    it("cuts a description to what the forge takes", async () => {
      const { sha } = await open();
      const long = "é🚀".repeat(300);
      await forge.setCommitStatus(sha, { state: "success", context: "long", description: long }, signal);
      const description = (await forge.getCommitStatus(sha, "long", signal))?.description ?? "";
      expect(description.length).toBeLessThanOrEqual(fixture.descriptionLimit);
      expect(description.length).toBeGreaterThan(fixture.descriptionLimit - 4);
      expect(description).toMatch(/^(é🚀)+é?…$/u);
    });

    it("knows what people may do", async () => {
      expect(await forge.permission(fixture.ownLogin, signal)).toMatch(/^(write|admin)$/);
      expect(await forge.permission(fixture.outsiderLogin, signal)).toBe("read");
      expect(await forge.permission("nobody-of-that-name", signal)).toBe("none");
    });

    it("merges what was reviewed and nothing else", async () => {
      const { pull, branch, sha } = await open();
      const newer = await fixture.push("base", branch);
      await expect(
        forge.mergePullRequest(pull.number, { method: "merge", sha }, signal),
      ).rejects.toMatchObject({
        code: "ForgeRejected",
      });
      expect((await forge.getPullRequest(pull.number, signal)).merged).toBe(false);
      await forge.mergePullRequest(pull.number, { method: "merge", sha: newer }, signal);
      expect(await forge.getPullRequest(pull.number, signal)).toMatchObject({
        state: "closed",
        merged: true,
        headSha: newer,
      });
      // A second attempt finds it done.
      await forge.mergePullRequest(pull.number, { method: "merge", sha: newer }, signal);
      const open_ = await forge.listOpenPullRequests(signal);
      expect(open_.some(({ number }) => number === pull.number)).toBe(false);
    });

    it("does not let an outsider merge", async () => {
      const { pull, sha } = await open("fork");
      const merge = fixture.outsider.mergePullRequest(pull.number, { method: "merge", sha }, signal);
      await expect(merge).rejects.toMatchObject({
        code: expect.stringMatching(/^Forge(Rejected|Unauthorized)$/),
      });
      expect((await forge.getPullRequest(pull.number, signal)).merged).toBe(false);
    });

    it("says what is missing, and that a credential is bad, without showing it", async () => {
      await expect(forge.getPullRequest(987_654, signal)).rejects.toMatchObject({
        code: "ForgeNotFound",
        retryable: false,
        message: expect.stringContaining(`${forge.repository}/pulls/987654`),
      });
      const error = await fixture.badToken.listOpenPullRequests(signal).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "ForgeUnauthorized", retryable: false });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("not-a-token");
    });

    it("says at once that a pull request or a commit is not there", async () => {
      const sha = "0123456789012345678901234567890123456789";
      const status = { state: "success", context: "slipway", description: "" } as const;
      const start = performance.now();
      for (const ask of [
        () => forge.listComments(987_654, signal),
        () => forge.createComment(987_654, "nobody reads this", signal),
        () => forge.setCommitStatus(sha, status, signal),
        () => forge.getCommitStatus(sha, "slipway", signal),
      ]) {
        await expect(ask()).rejects.toMatchObject({ code: "ForgeNotFound", retryable: false });
      }
      expect(performance.now() - start).toBeLessThan(5000);
    });

    it("refuses a pull request from a branch that is not there", async () => {
      const request = { title: "No", body: "", head: "no-such-branch", base: "main" };
      await expect(forge.createPullRequest(request, signal)).rejects.toMatchObject({
        code: expect.stringMatching(/^Forge(Rejected|NotFound)$/),
      });
    });

    it("changes a pull request's words", async () => {
      const { pull } = await open();
      const words = { title: "Better ✓", body: "Now with cases." };
      expect(await forge.updatePullRequest(pull.number, words, signal)).toMatchObject({ title: "Better ✓" });
      expect((await forge.getPullRequest(pull.number, signal)).title).toBe("Better ✓");
    });

    it("makes a branch, writes files in it, and leaves the others alone", async () => {
      const branch = `slipway/monitor-${randomUUID().slice(0, 8)}`;
      const path = "cases/regressions é.yaml";
      expect(await forge.branchTip(branch, signal)).toBeUndefined();
      await forge.createBranch(branch, "main", signal);
      const tip = await forge.branchTip(branch, signal);
      expect(tip).toBe(await forge.branchTip("main", signal));
      await expect(forge.createBranch(branch, "main", signal)).rejects.toMatchObject({
        code: "ForgeRejected",
      });

      expect(await forge.readFile(path, branch, signal)).toBeUndefined();
      await forge.writeFile({ path, branch, content: "- id: ä # one\n", message: "Add" }, signal);
      const first = await forge.readFile(path, branch, signal);
      expect(first?.content).toBe("- id: ä # one\n");
      expect(await forge.readFile(path, "main", signal)).toBeUndefined();
      expect(await forge.branchTip(branch, signal)).not.toBe(tip);

      const change = { path, branch, content: "- id: ä # one\n- id: b\n", message: "Add another" };
      await forge.writeFile({ ...change, sha: first?.sha ?? "" }, signal);
      expect((await forge.readFile(path, branch, signal))?.content).toBe(change.content);
      // Somebody else was first.
      await expect(forge.writeFile({ ...change, sha: first?.sha ?? "" }, signal)).rejects.toMatchObject({
        code: "ForgeRejected",
      });

      const pull = await forge.createPullRequest(
        { title: "Cases", body: "", head: branch, base: "main" },
        signal,
      );
      expect(pull).toMatchObject({ headBranch: branch, fork: false });
      await forge.deleteBranch(branch, signal);
      await forge.deleteBranch(branch, signal);
      expect(await forge.branchTip(branch, signal)).toBeUndefined();
    });

    it("makes no branch from one that is not there", async () => {
      await expect(forge.createBranch("slipway/x", "no-such-branch", signal)).rejects.toMatchObject({
        code: expect.stringMatching(/^Forge(Rejected|NotFound)$/),
      });
    });

    it("stops when it is told to", async () => {
      const reason = new Error("shutting down");
      await expect(forge.listOpenPullRequests(AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
