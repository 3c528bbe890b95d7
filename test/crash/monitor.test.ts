import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { PROMETHEUS_RULE } from "../../controller/kinds/monitor/effects/prometheus-rule.ts";
import { Event, type KubeObject } from "../../controller/kube/resources.ts";
import type { Monitor } from "../../schemas/monitor.ts";
import { operatorTypes } from "../monitoring/operator-types.ts";
import { startAlertmanager, startPrometheus } from "../monitoring/servers.ts";
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
import { describePoint, type KillPoint, KillSwitch, parsePoint } from "./kill-switch.ts";
import { sample, seedOf } from "./plan.ts";
import { startProxy } from "./proxy.ts";
import { classifyHttp } from "./sites.ts";
import { deployment, prompt, suite } from "./story.ts";
import { Supervisor } from "./supervisor.ts";
import { createWorld } from "./world.ts";

/*
 * A replay fails: its failing cases become a pull request, Alertmanager gets an alert, and an Event tells of it; for
 * another signal Prometheus gets a rule. One of each, however the controller is killed on the way. (Webhooks are told
 * in chain.test.ts.) SLIPWAY_CRASH_ALL=1 kills at each of the points, otherwise at two of them.
 */
const EVENT = "api create Event";
/** The reason of the Monitor's only one. */
const ALERT = "SignalAlert";
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
  "alertmanager POST /api/v2/alerts#1:before",
  "alertmanager POST /api/v2/alerts#1:after",
  "api apply prometheusrules#1:before",
  "api apply prometheusrules#1:after",
  `${EVENT} ${ALERT}#1:before`,
  `${EVENT} ${ALERT}#1:after`,
].map(parsePoint);
const POINTS = process.env.SLIPWAY_CRASH_ALL === "1" ? ALL : sample(ALL, 2, seedOf(process.env));

await using parts = new AsyncDisposableStack();
const world = parts.use(await createWorld());
const prometheus = parts.use(await startPrometheus([]));
const alertmanager = parts.use(await startAlertmanager());
const alertmanagerProxy = parts.use(
  await startProxy({
    upstream: alertmanager.url,
    classify: classifyHttp("alertmanager"),
    hooks: () => world.hooks,
  }),
);
parts.use(await operatorTypes(world.client));
const owned = parts.move();
afterAll(() => owned.disposeAsync());

const monitor = manifest("Monitor", "triage", {
  targetRef: { name: "model" },
  prometheus: { url: prometheus.url },
  signals: [
    {
      name: "quality",
      type: "Replay",
      replay: { suiteRef: { name: "triage" } },
      thresholds: { operator: "Below", alert: 0.9 },
    },
    {
      name: "one",
      type: "Prometheus",
      prometheus: { query: "vector(1)" },
      thresholds: { operator: "Below", alert: 0.5 },
    },
  ],
  actions: [
    { name: "cases", type: "OpenPullRequest", openPullRequest: { suiteRef: { name: "regressions" } } },
    { name: "pager", type: "Alertmanager", alertmanager: { url: alertmanagerProxy.url } },
    { name: "rule", type: "PrometheusRule", prometheusRule: {} },
  ],
});
const regressions = manifest("EvalSuite", "regressions", {
  targets: [{ name: "target", promptRef: { name: "triage" }, modelRef: { name: "model" } }],
  cases: { files: [{ path: FILE }] },
  assert: [{ type: "icontains", value: "{{expected}}" }],
});

interface Alert {
  readonly labels: { readonly signal: string };
}

interface Noted extends KubeObject {
  readonly reason: string;
  readonly regarding: { readonly kind: string };
}

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
  const killSwitch = new KillSwitch(points);
  world.hooks = {
    // The Monitor's Events are few among many.
    enter: (site, body) =>
      killSwitch.enter(site === EVENT ? `${site} ${JSON.parse(body.toString()).reason}` : site),
    kill: () => supervisor.kill(),
    written() {},
    count() {},
  };
  const logFile = join(world.folder, `${namespace}.log`);
  await using supervisor = new Supervisor({
    kubeconfig: world.kubeconfig,
    namespace,
    stateDir: join(world.folder, namespace),
    sitesFile: join(world.folder, `${namespace}.sites`),
    logFile,
    points,
    onKilled() {},
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
    const { status, alerts, events } = await waitFor(
      "the Monitor to have told everybody",
      async () => {
        const found = await fetch(`${alertmanager.url}/api/v2/alerts?filter=namespace%3D${namespace}`);
        const object = await getObject<Monitor>(client, "Monitor", namespace, "triage");
        const noted = await client.list<Noted>(Event, { namespace });
        const events = noted.items.filter(
          ({ reason, regarding }) => `${regarding.kind} ${reason}` === `Monitor ${ALERT}`,
        );
        return { status: object?.status, alerts: (await found.json()) as Alert[], events };
      },
      ({ status, alerts, events }) =>
        (points.length > 0 || events.length > 0) &&
        supervisor.kills === points.length &&
        status?.actions?.[0]?.url !== undefined &&
        status.rule !== undefined &&
        alerts.length > 0,
      {
        timeoutMs: 90_000,
        context: async () => (await readFile(logFile, "utf8").catch(() => "")).slice(-3_000),
      },
    );
    const pulls = await ask<Proposed[]>("/pulls?state=all");
    const rules = await client.list(PROMETHEUS_RULE, { namespace });
    const branch = `slipway/${namespace}/monitor-triage`;
    const file = await ask<{ content: string }>(`/contents/${FILE}?ref=${branch}`);
    return {
      ...{ status, alerts, events, branch, pulls },
      rules: rules.items.map(({ metadata }) => ({ name: metadata.name, generation: metadata.generation })),
      content: Buffer.from(file.content, "base64").toString("utf8"),
    };
  } finally {
    world.hooks = undefined;
    await supervisor[Symbol.asyncDispose]();
    await clearNamespace(client, namespace);
  }
}

describe("everybody is told once of a replay that fails", () => {
  it.each<readonly [string, KillPoint | undefined]>([
    ["undisturbed", undefined],
    ...POINTS.map((point) => [`killed at ${describePoint(point)}`, point] as const),
  ])(
    "%s",
    async (_, point) => {
      const { status, alerts, rules, events, branch, pulls, content } = await run(point);
      expect(status?.actions).toEqual([
        { name: "cases", delivered: expect.any(Number), url: pulls[0]?.html_url },
        { name: "pager" },
        { name: "rule" },
      ]);
      expect(alerts.map(({ labels }) => labels.signal)).toEqual(["quality"]);
      expect(rules).toEqual([{ name: status?.rule, generation: 1 }]);
      // Events are written beside the reconcile, so a kill may lose one.
      if (point) expect(events.length).toBeLessThanOrEqual(1);
      else expect(events).toHaveLength(1);
      expect(pulls.map(({ head }) => head.ref)).toEqual([branch]);
      expect(content.startsWith(OLD)).toBe(true);
      expect(content.match(/^- id: \S+/gm)).toEqual([
        "- id: old",
        ...[0, 1, 2, 3].map((index) => `- id: case-${index}`),
      ]);
    },
    180_000,
  );
});
