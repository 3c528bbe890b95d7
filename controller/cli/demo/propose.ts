import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pc from "picocolors";
import { SlipwayError } from "../../errors.ts";
import { statusContext } from "../../pr/decide.ts";
import type { CommitStatus, Forge, PullRequest } from "../../pr/forge/forge.ts";
import type { WorkingCopy } from "./gitea.ts";
import type { Screen } from "./screen.ts";
import { terminalReport } from "./terminal-report.ts";
import { waitFor } from "./wait.ts";

const EVALUATION_TIMEOUT_MS = 600_000;

/** A pull request of the demo: a folder with the prompt that it brings, and `pr.md` with title and body. */
export interface Proposal {
  readonly pull: PullRequest;
  readonly status: CommitStatus;
}

export interface ProposeOptions {
  readonly screen: Screen;
  readonly copy: WorkingCopy;
  readonly forge: Forge;
  readonly signal: AbortSignal;
}

/** Opens a pull request, waits for its verdict, and shows comment and status. */
export async function propose(
  title: string,
  folder: string,
  branch: string,
  { screen, copy, forge, signal }: ProposeOptions,
): Promise<Proposal> {
  const [heading = "", ...body] = (await readFile(join(folder, "pr.md"), "utf8")).trim().split("\n");
  const name = heading.replace(/^#+\s*/, "");
  const proposal = await screen.step(title, async (report) => {
    await copy.branch(branch, "prompt.yaml", await readFile(join(folder, "prompt.yaml"), "utf8"), name);
    const request = { title: name, body: body.join("\n").trim(), head: branch, base: "main" };
    const pull = await forge.createPullRequest(request, signal);
    const context = statusContext({ spec: { branch: "main" } });
    const status = await waitFor(
      `a verdict on ${pull.url}`,
      async () => {
        const current = await forge.getCommitStatus(pull.headSha, context, signal);
        report(current?.description ?? "waiting for Slipway");
        return current && current.state !== "pending" ? current : undefined;
      },
      { signal, timeoutMs: EVALUATION_TIMEOUT_MS, everyMs: 500 },
    );
    return { pull, status };
  });
  const comment = await waitFor(
    "the comment",
    async () =>
      (await forge.listComments(proposal.pull.number, signal)).find(({ body: text }) =>
        text.includes("slipway:report"),
      ),
    { signal, timeoutMs: 30_000 },
  );
  screen.show(
    `#${proposal.pull.number} ${proposal.pull.title} (${comment.url})`,
    terminalReport(comment.body, process.stdout.columns ?? 120),
  );
  screen.line(
    `  ${proposal.status.context}: ${colour(proposal.status.state)}  ${proposal.status.description}\n`,
  );
  return proposal;
}

const colour = (state: CommitStatus["state"]) => (state === "success" ? pc.green(state) : pc.red(state));

/** @throws SlipwayError UnexpectedVerdict */
export function expectState({ pull, status }: Proposal, expected: CommitStatus["state"]): void {
  if (status.state === expected) return;
  throw new SlipwayError(
    "UnexpectedVerdict",
    `#${pull.number} ended as ${status.state} instead of ${expected}: ${status.description}`,
  );
}
