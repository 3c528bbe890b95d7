import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GiteaForge } from "../../pr/forge/gitea.ts";
import { isEvaluatedAgain, isReady, type ShownObject } from "./cluster-view.ts";
import { followRepository } from "./follow.ts";
import { WorkingCopy } from "./gitea.ts";
import { expectState, propose } from "./propose.ts";
import type { Stage } from "./stage.ts";
import { waitFor } from "./wait.ts";

const EXAMPLES = join(import.meta.dirname, "..", "..", "..", "examples");
const EVALUATION_TIMEOUT_MS = 600_000;

/** How many steps {@link playPullRequests} shows. */
export const PULL_REQUEST_STEPS = 5;

/** Push, Ready, two pull requests judged by a model, a merge that the cluster follows. @returns the pull requests' URLs */
export async function playPullRequests(stage: Stage): Promise<readonly string[]> {
  const { screen, view, forge: server, model, cleanups, options } = stage;
  const { signal } = options;
  const name = "support-triage";
  const repository = `${server.user}/${name}`;
  const forge = new GiteaForge({ apiUrl: `${server.url}/api/v1`, token: server.token, repository });
  const suite = (
    what: string,
    when: (object: ShownObject) => boolean,
    report: (message: string) => void,
  ): Promise<ShownObject> =>
    view.until("EvalSuite", "triage", what, when, { report, signal, timeoutMs: EVALUATION_TIMEOUT_MS });

  const copy = await screen.step(`git push of examples/${name} to ${repository}`, async () => {
    const copy = await WorkingCopy.create(server, name, join(EXAMPLES, name), (clone) =>
      pointAt(clone, model),
    );
    cleanups.push(() => copy.remove());
    return copy;
  });
  const first = await screen.step(
    "the cluster follows the repository, and the suite runs on main",
    async (report) => {
      await followRepository(stage, name);
      return suite("Ready", isReady, report);
    },
  );
  screen.show("$ kubectl get slipway", await view.kubectl("get", "slipway"));

  const folder = (variant: string) => join(EXAMPLES, "support-triage-prs", variant);
  const each = { screen, copy, forge, signal };
  const good = await propose("a pull request that improves the prompt", folder("good"), "good-prompt", each);
  const bad = await propose("a pull request that tidies the prompt up", folder("bad"), "bad-prompt", each);
  expectState(good, "success");
  expectState(bad, "failure");

  const merged = await screen.step(`merge #${good.pull.number}: the cluster follows`, async (report) => {
    const before = await view.get("PromptTemplate", "triage", signal);
    await forge.mergePullRequest(good.pull.number, { method: "merge", sha: good.pull.headSha }, signal);
    await waitFor(
      "the merged prompt in the cluster",
      async () => {
        const prompt = await view.get("PromptTemplate", "triage", signal);
        const { revision, observedGeneration } = prompt.status ?? {};
        report(`PromptTemplate triage is at ${String(revision).slice(0, 12)}`);
        return revision !== before.status?.revision && observedGeneration === prompt.metadata.generation
          ? prompt
          : undefined;
      },
      { signal, timeoutMs: 60_000 },
    );
    const after = (object: ShownObject) => isEvaluatedAgain(object, first.status?.lastRun);
    return suite("evaluated again", after, report);
  });
  screen.show("$ kubectl get slipway", await view.kubectl("get", "slipway"));
  screen.line(`  EvalSuite triage: ${first.status?.score} → ${merged.status?.score}\n`);
  return [good.pull.url, bad.pull.url];
}

/** The deployment of the example names a placeholder: the port is chosen when the model starts. */
async function pointAt(clone: string, model: { url: string; model: string }): Promise<void> {
  const file = join(clone, "model.yaml");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    text
      .replace(/baseURL: .*/, `baseURL: ${model.url}`)
      .replace(/(\n\s+)model: .*/, `$1model: ${model.model}`),
  );
}
