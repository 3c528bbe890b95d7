import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type SimpleGit, simpleGit } from "simple-git";
import { SlipwayError } from "../errors.ts";
import { fetchError } from "./git-fetch-error.ts";
import { type GitCredentials, gitEnvironment, runGit } from "./git-process.ts";
import { isManifestName, LIMITS, type Source, type SourceEntry } from "./source.ts";

export type { GitCredentials } from "./git-process.ts";

/** The merge of two commits: a tree to read, or the files that conflict. */
export type MergeResult = { readonly tree: string } | { readonly conflicts: readonly string[] };

/** How long a fetch may say nothing: progress is asked for, so that a large one does not stay silent. */
const SILENCE_MS = 60_000;
/** Longest that a fetch may run. */
const FETCH_TIMEOUT_MS = 10 * 60_000;
/** Most bytes of a tree's listing: names of up to 4 KiB, and trees that repeat themselves, are cheap to push. */
const MAX_LISTING_BYTES = 64 << 20;
/** Most files that either side of a merge may have. */
const MAX_MERGE_ENTRIES = 1_000_000;

/** What `git init` leaves; a folder without one of these was left half made. */
const PARTS = ["HEAD", "config", "objects", "refs"];

const OBJECT_ID = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/**
 * A bare mirror of one repository. Git is read and never checked out: no file of the repository ever gets a
 * path on this machine, so neither symlinks nor hooks nor attributes can do anything.
 */
export class GitMirror {
  readonly #dir: string;
  readonly #url: string;
  readonly #credentials: GitCredentials | undefined;
  readonly #limits: FetchLimits;
  /** False for somebody's own repository, whose refs have the names that they have. */
  readonly #ours: boolean;

  private constructor(
    dir: string,
    url: string,
    ours: boolean,
    credentials?: GitCredentials,
    limits: FetchLimits = {},
  ) {
    this.#dir = dir;
    this.#url = url;
    this.#ours = ours;
    this.#credentials = credentials;
    this.#limits = limits;
  }

  /** Opens or creates the mirror in `dir`; one call at a time. Nothing is fetched yet. */
  static async open(
    dir: string,
    url: string,
    credentials?: GitCredentials,
    limits?: FetchLimits,
  ): Promise<GitMirror> {
    if (!PARTS.every((part) => existsSync(join(dir, part)))) {
      // Made beside it and moved: a process that dies in between leaves nothing that looks like a mirror.
      const fresh = `${dir}.new`;
      await rm(fresh, { recursive: true, force: true });
      await mkdir(fresh, { recursive: true });
      await new GitMirror(fresh, url, true).#git().raw(["init", "--bare", "--quiet", "."]);
      await rm(dir, { recursive: true, force: true });
      await rename(fresh, dir);
    }
    return new GitMirror(dir, url, true, credentials, limits);
  }

  /** A repository that is somebody else's, to be read only. */
  static local(dir: string): GitMirror {
    return new GitMirror(dir, dir, false);
  }

  #git(signal?: AbortSignal): SimpleGit {
    const environment = gitEnvironment(this.#url, this.#credentials);
    return simpleGit({
      // By default an exit code counts only with text on stderr: a git that was killed would have succeeded.
      errors: (error, { exitCode, stdErr }) =>
        error ??
        (exitCode === 0 ? undefined : Buffer.concat([...stdErr, Buffer.from(`git ended with ${exitCode}`)])),
      baseDir: this.#dir,
      timeout: { block: this.#limits.silenceMs ?? SILENCE_MS },
      ...(signal ? { abort: signal } : {}),
      // What is called unsafe here is ours: fixed keys, and the URL that the schema has checked.
      unsafe: {
        allowUnsafeConfigEnvCount: true,
        allowUnsafeHooksPath: true,
        allowUnsafeConfigPaths: true,
        allowUnsafeProtocolOverride: true,
      },
      allowEnvironment: Object.keys(environment),
    }).env(environment);
  }

  /**
   * Fetches refs, to be read with `resolve` under the same names.
   * @param refs full names such as `refs/heads/main` or `refs/pull/7/head`
   * @throws SlipwayError GitUnauthorized, GitRefNotFound, GitUnreachable, GitTimeout
   */
  async fetch(refs: readonly string[], signal?: AbortSignal): Promise<void> {
    const totalMs = this.#limits.totalMs ?? FETCH_TIMEOUT_MS;
    const deadline = AbortSignal.timeout(totalMs);
    try {
      await this.#git(signal ? AbortSignal.any([signal, deadline]) : deadline).raw([
        "fetch",
        "--progress",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--",
        this.#url,
        ...refs.map((ref) => `+${ref}:${localRef(ref)}`),
      ]);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (deadline.aborted) {
        const message = `fetching ${this.#url} took more than ${totalMs / 1000} s`;
        throw new SlipwayError("GitTimeout", message, { retryable: true });
      }
      throw fetchError(this.#withoutSecrets(error), this.#url, refs);
    }
  }

  /** What git and the server said, without the credentials: a server may send back what it was sent. */
  #withoutSecrets(error: unknown): string {
    let text = error instanceof Error ? error.message : String(error);
    if (this.#credentials) {
      const { username, password } = this.#credentials;
      const basic = Buffer.from(`${username}:${password}`).toString("base64");
      for (const secret of [basic, password, encodeURIComponent(password)]) {
        if (secret !== "") text = text.replaceAll(secret, "[redacted]");
      }
    }
    return text.replace(/[^\P{Cc}\n]/gu, " ");
  }

  /** The commit that a fetched ref points to. */
  async resolve(ref: string): Promise<string> {
    const name = this.#ours && ref.startsWith("refs/") ? localRef(ref) : ref;
    const { stdout } = await this.#run([
      "rev-parse",
      "--verify",
      "--quiet",
      "--end-of-options",
      `${name}^{commit}`,
    ]);
    const id = stdout.toString("latin1").trim();
    if (!OBJECT_ID.test(id))
      throw new SlipwayError("GitRefNotFound", `${ref} is not a commit in ${this.#url}`);
    return id;
  }

  /**
   * What merging `head` into `base` gives, without a work tree.
   * @throws SlipwayError GitMergeFailed when the two have no common history, RepositoryTooLarge
   */
  async merge(base: string, head: string): Promise<MergeResult> {
    // A tree that holds itself ten times over, ten levels deep, is a few hundred bytes to push; merging it is not.
    for (const commit of [base, head]) await this.#list(commit, "", MAX_MERGE_ENTRIES);
    // git 2.39 exits 1 on conflicts yet prints a tree first: the file list after it tells the two apart.
    const { code, stdout, stderr } = await this.#run([
      "merge-tree",
      "--write-tree",
      "--name-only",
      "-z",
      "--no-messages",
      base,
      head,
    ]);
    const [tree = "", ...names] = stdout.toString("utf8").split("\0");
    if (code === 0 && OBJECT_ID.test(tree)) return { tree };
    if (code === 1) return { conflicts: [...new Set(names.filter((name) => name !== ""))] };
    throw new SlipwayError(
      "GitMergeFailed",
      `cannot merge ${head.slice(0, 8)} into ${base.slice(0, 8)}: ${stderr.trim()}`,
    );
  }

  /** The files of a commit or tree below `path`. Symlinks and submodules are left out, or marked. */
  at(treeish: string, path = ""): Source {
    return {
      list: () => this.#list(treeish, path, LIMITS.entries),
      read: (entries) => this.#readBlobs(entries),
    };
  }

  #run(args: readonly string[], limits?: Parameters<typeof runGit>[2]) {
    return runGit(args, { cwd: this.#dir, env: gitEnvironment(this.#url, this.#credentials) }, limits);
  }

  async #list(treeish: string, path: string, limit: number): Promise<SourceEntry[]> {
    if (!OBJECT_ID.test(treeish))
      throw new SlipwayError("GitReadFailed", `${JSON.stringify(treeish.slice(0, 80))} is not an object id`);
    const where = path === "" ? [] : ["--", `${path}/`];
    const args = ["ls-tree", "-r", "-z", "--long", "--full-tree", treeish, ...where];
    const { code, stdout, stderr, overflow } = await this.#run(args, {
      maxBytes: MAX_LISTING_BYTES,
      maxNul: limit,
    });
    if (overflow) {
      throw new SlipwayError(
        "RepositoryTooLarge",
        `the tree has more than ${limit} files, or very long paths`,
        {
          hint: "set spec.path to the folder with the manifests",
        },
      );
    }
    if (code !== 0)
      throw new SlipwayError("GitReadFailed", `cannot list ${treeish.slice(0, 8)}: ${stderr.trim()}`);
    return parseTree(stdout.toString("utf8"));
  }

  async #readBlobs(entries: readonly SourceEntry[]): Promise<Map<string, Uint8Array>> {
    const ids = [...new Set(entries.map((entry) => entry.id))];
    const contents = new Map<string, Uint8Array>();
    if (ids.length === 0) return contents;
    const { code, stdout, stderr } = await this.#run(["cat-file", "--batch"], {
      stdin: `${ids.join("\n")}\n`,
    });
    if (code !== 0) throw new SlipwayError("GitReadFailed", `cannot read files: ${stderr.trim()}`);
    let offset = 0;
    for (const id of ids) {
      const end = stdout.indexOf(10, offset);
      const [, type, size] = stdout.subarray(offset, end).toString("latin1").split(" ");
      if (type !== "blob")
        throw new SlipwayError("GitReadFailed", `git object ${id} is missing or not a file`);
      contents.set(id, stdout.subarray(end + 1, end + 1 + Number(size)));
      offset = end + 1 + Number(size) + 1;
    }
    return contents;
  }
}

/** For tests: both have defaults that fit a large repository on a slow line. */
export interface FetchLimits {
  readonly silenceMs?: number;
  readonly totalMs?: number;
}

/**
 * Where a fetched ref is kept. Under its own name it could not be kept beside one that is gone on the server:
 * `main/1` is a file in a folder where `main` is a file.
 */
const localRef = (ref: string) => `refs/slipway/${createHash("sha256").update(ref).digest("hex")}`;

/**
 * Removes what a git that was killed has left: locks, on which every later fetch would fail, and half a pack.
 * Only for a folder that no running process uses.
 */
export async function removeLeftovers(dir: string): Promise<void> {
  if (!existsSync(dir)) return;
  for (const item of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const pack = item.parentPath === join(dir, "objects", "pack");
    if (item.isFile() && (item.name.endsWith(".lock") || (pack && item.name.startsWith("tmp_"))))
      await rm(join(item.parentPath, item.name), { force: true });
  }
}

/** Parses `ls-tree -r -z --long`. */
export function parseTree(output: string): SourceEntry[] {
  const entries: SourceEntry[] = [];
  for (const record of output.split("\0")) {
    if (record === "") continue;
    const tab = record.indexOf("\t");
    const [mode, type, id, size] = record.slice(0, tab).split(/ +/);
    const path = record.slice(tab + 1);
    if (id === undefined) continue;
    // 120000 is a symlink and 160000 a submodule: neither is content of this repository.
    if (type === "blob" && mode !== "120000") entries.push({ path, id, size: Number(size) });
    else if (isManifestName(path)) entries.push({ path, id, size: 0, link: true });
  }
  return entries;
}

/** The repository that a folder of a clone lies in, to read its commits; nothing is fetched. */
export async function openLocalRepository(folder: string): Promise<{ mirror: GitMirror; path: string }> {
  const git = simpleGit({ baseDir: folder });
  if (!(await git.checkIsRepo())) {
    throw new SlipwayError("NotARepository", `${folder} is not in a git repository`, {
      hint: "leave --base and --head out",
    });
  }
  const dir = (await git.revparse(["--absolute-git-dir"])).trim();
  const path = (await git.revparse(["--show-prefix"])).trim().replace(/\/$/, "");
  return { mirror: GitMirror.local(dir), path };
}
