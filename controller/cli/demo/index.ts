import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pc from "picocolors";
import type { CustomResource } from "../../../schemas/kind.ts";
import { controlPlaneBinaries } from "../../dev/binaries.ts";
import { type Cluster, startCluster, stopCluster } from "../../dev/cluster.ts";
import { startCompanion, stopCompanions } from "../../dev/companions.ts";
import { startGitea, stopForge } from "../../dev/forge.ts";
import { WEIGHTS } from "../../dev/model/pins.ts";
import { ensureRuntime } from "../../dev/model/runtime.ts";
import { ensureWeights } from "../../dev/model/weights.ts";
import { silent } from "../../dev/progress.ts";
import { instanceFolder } from "../../dev/state.ts";
import { describeError, SlipwayError } from "../../errors.ts";
import { resourceTypeOf } from "../../gitops/apply.ts";
import { install, installObjects } from "../../install/objects.ts";
import { KubeClient } from "../../kube/client.ts";
import { type KubeObject, Secret } from "../../kube/resources.ts";
import { statusContext } from "../../pr/decide.ts";
import type { CommitStatus, Forge, PullRequest } from "../../pr/forge/forge.ts";
import { GiteaForge } from "../../pr/forge/gitea.ts";
import { createRepository, createWebhook, type GiteaServer, WorkingCopy } from "./gitea.ts";
import { demoObjects } from "./objects.ts";
import { createScreen, type Screen } from "./screen.ts";
import { terminalReport } from "./terminal-report.ts";
import { waitFor } from "./wait.ts";

const run = promisify(execFile);
const NAMESPACE = "support";
const ACCOUNT = "slipway-tenant";
const CONTROLLER_USER = "slipway-controller";
const EXAMPLES = join(import.meta.dirname, "..", "..", "..", "examples");
const STEPS = 10;
const EVALUATION_TIMEOUT_MS = 600_000;

export interface DemoOptions {
  /** Ends by itself when everything happened. */
  readonly once: boolean;
  /** Leaves cluster, forge and controller running. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

type Cleanup = () => Promise<void>;

/** The whole story on real parts: push, Ready, two pull requests judged by a model, a merge that the cluster follows. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const screen = createScreen(STEPS);
  const cleanups: Cleanup[] = [];
  const started = performance.now();
  try {
    await play(screen, options, cleanups, started);
  } finally {
    if (!options.keep || options.signal.aborted) {
      for (const cleanup of cleanups.reverse()) {
        await cleanup().catch((error: unknown) =>
          screen.line(pc.yellow(`cleaning up: ${describeError(error)}`)),
        );
      }
    }
  }
}

async function play(
  screen: Screen,
  options: DemoOptions,
  cleanups: Cleanup[],
  started: number,
): Promise<void> {
  const { signal } = options;
  const name = options.keep ? "demo" : `demo-${process.pid}`;
  const folder = await instanceFolder("demos", name);
  const slipway: [string, ...string[]] = [process.execPath, process.argv[1] ?? "slipway"];

  const cluster = await screen.step("Kubernetes API server", async (report) => {
    cleanups.push(() => stopCluster({ name, report: silent }).then(() => {}));
    return startCluster({ name, report, signal });
  });
  const gitea = await screen.step("Gitea, a git forge", async (report) => {
    cleanups.push(() => stopForge({ name, report: silent }).then(() => {}));
    return startGitea({ name, report, signal });
  });
  const model = await screen.step(`${WEIGHTS.model} behind an OpenAI-compatible endpoint`, async (report) => {
    cleanups.push(() => stopCompanions({ name, report: silent }));
    // Fetched here, where progress can be shown.
    await ensureRuntime({ report, signal });
    await ensureWeights({ report, signal });
    const args = (port: number) => ["dev", "model", "--port", String(port)];
    const command = { name: "model", command: slipway, args, readyPath: "/health" } as const;
    const { url } = await startCompanion({ folder, ...command, report, signal });
    return { url: `${url}/v1`, model: WEIGHTS.model };
  });

  const client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
  const controller = await screen.step("CRDs, rights, a tenant, and the controller", async (report) => {
    report("installing");
    const tenants = [`${NAMESPACE}/${ACCOUNT}`];
    await install(client, await installObjects({ user: CONTROLLER_USER, tenants }), signal);
    report("starting the controller");
    const args = (port: number) => [
      ...["controller", "--kubeconfig", cluster.controllerKubeconfigPath],
      ...["--state-dir", join(folder, "state"), "--port", String(port)],
    ];
    const command = { name: "controller", command: slipway, args, readyPath: "/readyz" } as const;
    return startCompanion({ folder, ...command, report, signal });
  });

  const server: GiteaServer = {
    url: gitea.url,
    user: gitea.adminUser,
    password: gitea.adminPassword,
    token: gitea.adminToken,
  };
  const repository = `${server.user}/support-triage`;
  const forge = new GiteaForge({ apiUrl: `${server.url}/api/v1`, token: server.token, repository });
  const copy = await screen.step(`git push of examples/support-triage to ${repository}`, async () => {
    await createRepository(server, "support-triage");
    const copy = await WorkingCopy.create(server, repository, join(EXAMPLES, "support-triage"), (clone) =>
      pointAt(clone, model),
    );
    cleanups.push(() => copy.remove());
    return copy;
  });
  await screen.step("the cluster follows the repository, and the suite runs on main", async (report) => {
    const webhookSecret = randomBytes(20).toString("hex");
    const git = { ...server, url: `${server.url}/${repository}.git`, apiURL: `${server.url}/api/v1` };
    for (const object of demoObjects({ namespace: NAMESPACE, account: ACCOUNT, git, webhookSecret })) {
      const type = object.kind === "Secret" ? Secret : resourceTypeOf(object.kind);
      await client.apply(type, object, { fieldManager: "demo", force: true, signal });
    }
    await createWebhook(server, repository, `${controller.url}/webhooks`, webhookSecret);
    await ready(client, "EvalSuite", "triage", report, signal);
  });
  screen.show("$ kubectl get slipway", await getSlipway(cluster));

  const good = await propose(screen, "a pull request that improves the prompt", "good", copy, forge, signal);
  const bad = await propose(screen, "a pull request that tidies the prompt up", "bad", copy, forge, signal);
  expectState(good, "success");
  expectState(bad, "failure");

  await screen.step(`merge #${good.pull.number}: the cluster follows`, async (report) => {
    const before = await get(client, "PromptTemplate", "triage", signal);
    await forge.mergePullRequest(good.pull.number, { method: "merge", sha: good.pull.headSha }, signal);
    await waitFor(
      "the merged prompt in the cluster",
      async () => {
        const prompt = await get(client, "PromptTemplate", "triage", signal);
        const { revision, observedGeneration } = statusOf(prompt);
        report(`PromptTemplate triage is at ${String(revision).slice(0, 12)}`);
        return revision !== statusOf(before).revision && observedGeneration === prompt.metadata.generation
          ? prompt
          : undefined;
      },
      { signal, timeoutMs: 60_000 },
    );
    await ready(client, "EvalSuite", "triage", report, signal);
  });
  screen.show("$ kubectl get slipway", await getSlipway(cluster));

  const total = ((performance.now() - started) / 1000).toFixed(0);
  screen.line(pc.green(`Everything happened, in ${total} s.`));
  screen.line(`  pull requests  ${good.pull.url}  ${bad.pull.url}`);
  screen.line(
    `  forge          ${server.url} (user ${server.user}${options.keep || !options.once ? `, password ${server.password}` : ""})`,
  );
  screen.line(`  controller     ${controller.url}/metrics, log ${controller.logFile}`);
  screen.line(`  kubectl        export KUBECONFIG=${cluster.kubeconfigPath}`);
  await client.close();
  if (options.keep) screen.line(`  Everything is left running: slipway dev down --name ${name} removes it.`);
  if (options.once || options.keep) return;
  screen.line("  Running until you press Ctrl-C.");
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
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

interface Proposal {
  readonly pull: PullRequest;
  readonly status: CommitStatus;
}

async function propose(
  screen: Screen,
  title: string,
  variant: "good" | "bad",
  copy: WorkingCopy,
  forge: Forge,
  signal: AbortSignal,
): Promise<Proposal> {
  const folder = join(EXAMPLES, "support-triage-prs", variant);
  const [heading = "", ...body] = (await readFile(join(folder, "pr.md"), "utf8")).trim().split("\n");
  const proposal = await screen.step(title, async (report) => {
    await copy.branch(
      `${variant}-prompt`,
      "prompt.yaml",
      await readFile(join(folder, "prompt.yaml"), "utf8"),
      heading.replace(/^#+\s*/, ""),
    );
    const pull = await forge.createPullRequest(
      {
        title: heading.replace(/^#+\s*/, ""),
        body: body.join("\n").trim(),
        head: `${variant}-prompt`,
        base: "main",
      },
      signal,
    );
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
      (await forge.listComments(proposal.pull.number, signal)).find(({ body }) =>
        body.includes("slipway:report"),
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

function expectState({ pull, status }: Proposal, expected: CommitStatus["state"]): void {
  if (status.state === expected) return;
  throw new SlipwayError(
    "UnexpectedVerdict",
    `#${pull.number} ended as ${status.state} instead of ${expected}: ${status.description}`,
  );
}

const get = (client: KubeClient, kind: string, name: string, signal: AbortSignal) =>
  client.get<KubeObject & CustomResource<unknown>>(resourceTypeOf(kind), NAMESPACE, name, { signal });

const statusOf = (object: KubeObject) =>
  (object.status ?? {}) as {
    revision?: string;
    observedGeneration?: number;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };

async function ready(
  client: KubeClient,
  kind: string,
  name: string,
  report: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await waitFor(
    `${kind} ${name} to be Ready`,
    async () => {
      const object = await get(client, kind, name, signal).catch(() => undefined);
      if (!object) return undefined;
      const status = statusOf(object);
      const condition = status.conditions?.find(({ type }) => type === "Ready");
      report(condition ? `${kind} ${name}: ${condition.message}` : `waiting for ${kind} ${name}`);
      return condition?.status === "True" && status.observedGeneration === object.metadata.generation
        ? object
        : undefined;
    },
    { signal, timeoutMs: EVALUATION_TIMEOUT_MS },
  );
}

/** What an operator types; with the kubectl of the control plane's own version where there is one. */
async function getSlipway({ provider, kubeconfigPath }: Cluster): Promise<string> {
  const kubectl =
    provider === "local" ? join(await controlPlaneBinaries({ report: silent }), "kubectl") : "kubectl";
  const { stdout } = await run(kubectl, [
    "--kubeconfig",
    kubeconfigPath,
    "get",
    "slipway",
    "--namespace",
    NAMESPACE,
  ]);
  return stdout;
}
