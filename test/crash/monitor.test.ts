import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Monitor } from "../../schemas/monitor.ts";
import {
  applyRepository,
  clearNamespace,
  createSecret,
  getObject,
  makeTenant,
  uniqueName,
} from "../scenario/cluster.ts";
import { manifest, yamlOf } from "../scenario/manifests.ts";
import { waitFor } from "../scenario/wait.ts";
import { describePoint, type KillPoint, parsePoint } from "./kill-switch.ts";
import { sample, seedOf } from "./plan.ts";
import { Recorder } from "./recorder.ts";
import { deployment, prompt, suite } from "./story.ts";
import { Supervisor } from "./supervisor.ts";
import { createWorld } from "./world.ts";

/*
 * A replay fails, and its failing cases become a pull request: one, however the controller is killed on the way.
 * SLIPWAY_CRASH_ALL=1 kills at each of the points, otherwise at two of them.
 */
const FILE = "cases/regressions.yaml";
const OLD = "# Ask Ana before removing one.\n- id: old   # from March\n  expected: billing\n";
const ALL = [
  "forge POST /branches#1:before",
  "forge POST /branches#1:after",
  `forge PUT /contents/${FILE}#1:before`,
  `forge PUT /contents/${FILE}#1:after`,
  "forge POST /pulls#1:before",
  "forge POST /pulls#1:after",
  "store intent/begin/Monitor.pullRequest#1:after",
  "store intent/finish/Monitor.pullRequest#1:before",
].map(parsePoint);
const POINTS = process.env.SLIPWAY_CRASH_ALL === "1" ? ALL : sample(ALL, 2, seedOf(process.env));

const world = await createWorld();
afterAll(() => world[Symbol.asyncDispose]());

const monitor = manifest("Monitor", "triage", {
  targetRef: { name: "model" },
  signals: [
    {
      name: "quality",
      type: "Replay",
      replay: { suiteRef: { name: "triage" } },
      thresholds: { operator: "Below", alert: 0.9 },
    },
  ],
  actions: [
    { name: "cases", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "regressions" } } },
  ],
});
const regressions = manifest("EvalSuite", "regressions", {
  targets: [{ name: "target", promptRef: { name: "triage" }, modelRef: { name: "model" } }],
  cases: { files: [{ path: FILE }] },
  assert: [{ type: "icontains", value: "{{expected}}" }],
});

interface Proposed {
  readonly title: string;
  readonly html_url: string;
  readonly head: { readonly ref: string };
}

async function run(point?: KillPoint) {
  const namespace = uniqueName("crash");
  const { client } = world;
  await makeTenant(client, namespace);
  const hosts = [world.forge.url, world.gitea.url].map((url) => new URL(url).host);
  await createSecret(client, namespace, "forge", { token: world.bot.token }, hosts);
  await using repository = await world.gitea.createRepo(world.owner, namespace);
  await repository.addCollaborator(world.bot, "admin");
  const points = point ? [point] : [];
  const recorder = new Recorder(points, () => supervisor.kill());
  world.hooks = recorder;
  const logFile = join(world.folder, `${namespace}.log`);
  await using supervisor = new Supervisor({
    kubeconfig: world.kubeconfig,
    namespace,
    stateDir: join(world.folder, namespace),
    sitesFile: join(world.folder, `${namespace}.sites`),
    logFile,
    points,
    onKilled: () => recorder.stir(),
  });
  const ask = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`${world.gitea.url}/api/v1/repos/${repository.fullName}${path}`, {
      headers: { authorization: `token ${world.bot.token}` },
    });
    return (await answer.json()) as T;
  };
  try {
    await repository.commitFiles(
      "main",
      {
        "prompt.yaml": yamlOf(prompt(1)),
        "model.yaml": yamlOf(deployment(world.model.baseURL)),
        "suites.yaml": yamlOf(suite(), regressions),
        "monitor.yaml": yamlOf(monitor),
        [FILE]: OLD,
      },
      "Everything",
    );
    await applyRepository(client, namespace, "app", {
      url: repository.cloneUrl,
      interval: "1s",
      forge: { type: "Gitea", apiURL: `${world.forge.url}/api/v1`, secretRef: { name: "forge" } },
      pullRequests: { enabled: false, onNotEvaluated: "Pass" },
    });
    const told = await waitFor(
      "the Monitor to show its pull request",
      () => getObject<Monitor>(client, "Monitor", namespace, "triage"),
      (object) => object?.status?.actions?.[0]?.url !== undefined,
      {
        timeoutMs: 90_000,
        show: (object) => object?.status,
        context: async () => (await readFile(logFile, "utf8").catch(() => "")).slice(-3_000),
      },
    );
    const pulls = await ask<Proposed[]>("/pulls?state=all");
    const branch = `slipway/${namespace}/monitor-triage`;
    const file = await ask<{ content: string }>(`/contents/${FILE}?ref=${branch}`);
    return {
      told: told?.status?.actions?.[0],
      branch,
      pulls,
      content: Buffer.from(file.content, "base64").toString("utf8"),
      kills: supervisor.kills,
    };
  } finally {
    world.hooks = undefined;
    await supervisor[Symbol.asyncDispose]();
    await clearNamespace(client, namespace);
  }
}

describe("the failing cases of a replay are proposed once", () => {
  it.each<readonly [string, KillPoint | undefined]>([
    ["undisturbed", undefined],
    ...POINTS.map((point) => [`killed at ${describePoint(point)}`, point] as const),
  ])(
    "%s",
    async (_, point) => {
      const { told, branch, pulls, content, kills } = await run(point);
      expect(kills).toBe(point ? 1 : 0);
      expect(pulls.map(({ head }) => head.ref)).toEqual([branch]);
      expect(told).toMatchObject({ name: "cases", url: pulls[0]?.html_url });
      expect(told).not.toHaveProperty("reason");
      expect(content.startsWith(OLD)).toBe(true);
      expect(content.match(/^- id: \S+/gm)).toEqual([
        "- id: old",
        ...[0, 1, 2, 3].map((index) => `- id: case-${index}`),
      ]);
    },
    180_000,
  );
});
