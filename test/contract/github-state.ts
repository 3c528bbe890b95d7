import { randomBytes } from "node:crypto";

export interface FakePull {
  number: number;
  title: string;
  body: string;
  author: string;
  state: "open" | "closed";
  mergedAt: string | null;
  draft: boolean;
  base: string;
  head: { repository: string | null; branch: string };
  headSha: string;
  labels: string[];
  updatedAt: string;
  /** How many more times `mergeable` is still unknown. */
  computing: number;
}

export interface FakeComment {
  id: number;
  issue: number;
  body: string;
  author: string;
  createdAt: string;
}

export interface FakeStatus {
  id: number;
  sha: string;
  state: string;
  context: string;
  description: string | null;
  targetUrl: string | null;
  creator: string;
}

/** What a GitHub repository remembers. A new sha stands for a new commit. */
export class GitHubState {
  readonly repository: string;
  readonly permissions = new Map<string, string>();
  readonly branches = new Map<string, string>();
  readonly pulls: FakePull[] = [];
  comments: FakeComment[] = [];
  readonly statuses: FakeStatus[] = [];
  /** Content by `branch path`, of the repository itself. */
  readonly files = new Map<string, string>();
  #id = 1000;
  #clock = Date.parse("2026-01-01T00:00:00Z");

  constructor(repository: string) {
    this.repository = repository;
    this.push(repository, "main");
  }

  nextId(): number {
    return ++this.#id;
  }

  now(): string {
    this.#clock += 1000;
    return new Date(this.#clock).toISOString().replace(".000Z", "Z");
  }

  /** A new commit on a branch; open pull requests from it follow. */
  push(repository: string, branch: string): string {
    const sha = randomBytes(20).toString("hex");
    this.branches.set(`${repository} ${branch}`, sha);
    for (const pull of this.pulls) {
      if (pull.state === "open" && pull.head.repository === repository && pull.head.branch === branch) {
        pull.headSha = sha;
        pull.updatedAt = this.now();
      }
    }
    return sha;
  }

  sha(repository: string, branch: string): string | undefined {
    return this.branches.get(`${repository} ${branch}`);
  }

  knows(sha: string): boolean {
    return [...this.branches.values()].includes(sha) || this.pulls.some((pull) => pull.headSha === sha);
  }

  canWrite(login: string): boolean {
    return ["admin", "write"].includes(this.permissions.get(login) ?? "none");
  }
}
