import { z } from "zod";
import type { FileChange, ForgeFile } from "./forge.ts";
import { forgeError, isForgeError, unreadable } from "./forge-error.ts";
import type { GitHubCalls } from "./github-calls.ts";
import { toBase64, toFile, wireFile } from "./wire.ts";

const KIND = "GitHub";

/** Branches and files of a repository on GitHub: what a proposal is made of. */
export class GitHubBranches {
  protected readonly calls: GitHubCalls;

  protected constructor(calls: GitHubCalls) {
    this.calls = calls;
  }

  async branchTip(branch: string, signal: AbortSignal): Promise<string | undefined> {
    const call = `GET /repos/{owner}/{repo}/git/ref/heads/${branch}`;
    try {
      const answer = await this.calls.call(call, signal, (octokit) =>
        octokit.rest.git.getRef({ ...this.calls.target, ref: `heads/${branch}`, request: { signal } }),
      );
      return this.calls.parse(z.object({ object: z.object({ sha: z.string() }) }), answer.data, call).object
        .sha;
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
  }

  async createBranch(branch: string, from: string, signal: AbortSignal): Promise<void> {
    const call = "POST /repos/{owner}/{repo}/git/refs";
    const sha = await this.branchTip(from, signal);
    if (sha === undefined) {
      throw forgeError("ForgeNotFound", `has no branch ${from}`, { kind: KIND, call });
    }
    await this.calls.call(call, signal, (octokit) =>
      octokit.rest.git.createRef({
        ...this.calls.target,
        ref: `refs/heads/${branch}`,
        sha,
        request: { signal, retries: 0 },
      }),
    );
  }

  async deleteBranch(branch: string, signal: AbortSignal): Promise<void> {
    const call = `DELETE /repos/{owner}/{repo}/git/refs/heads/${branch}`;
    try {
      await this.calls.call(call, signal, (octokit) =>
        octokit.rest.git.deleteRef({ ...this.calls.target, ref: `heads/${branch}`, request: { signal } }),
      );
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return;
      // GitHub says 422 for a branch that is gone, and for one that may not be deleted.
      if (!isForgeError(error, "ForgeRejected")) throw error;
      if ((await this.branchTip(branch, signal)) !== undefined) throw error;
    }
  }

  async readFile(path: string, branch: string, signal: AbortSignal): Promise<ForgeFile | undefined> {
    const call = `GET /repos/{owner}/{repo}/contents/${path}`;
    try {
      const answer = await this.calls.call(call, signal, (octokit) =>
        octokit.rest.repos.getContent({ ...this.calls.target, path, ref: branch, request: { signal } }),
      );
      return toFile(this.calls.parse(wireFile, answer.data, call)) ?? unreadable(KIND, call);
    } catch (error) {
      if (isForgeError(error, "ForgeNotFound")) return undefined;
      throw error;
    }
  }

  async writeFile({ path, branch, content, message, sha }: FileChange, signal: AbortSignal): Promise<void> {
    await this.calls.call(`PUT /repos/{owner}/{repo}/contents/${path}`, signal, (octokit) =>
      octokit.rest.repos.createOrUpdateFileContents({
        ...this.calls.target,
        path,
        branch,
        message,
        content: toBase64(content),
        ...(sha === undefined ? {} : { sha }),
        request: { signal, retries: 0 },
      }),
    );
  }
}
