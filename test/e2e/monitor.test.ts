import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROMETHEUS, PROMETHEUS_RULE } from "../../controller/kinds/monitor/effects/prometheus-rule.ts";
import type { KubeObject } from "../../controller/kube/resources.ts";
import type { EvalRun } from "../../schemas/eval-run.ts";
import type { Monitor } from "../../schemas/monitor.ts";
import { type ChatRequest, type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { type HookReceiver, receiveHooks } from "../monitoring/hooks.ts";
import { operatorTypes } from "../monitoring/operator-types.ts";
import { type MonitoringServer, startAlertmanager, startPrometheus } from "../monitoring/servers.ts";
import { createSecret, listObjects } from "../scenario/cluster.ts";
import { deploymentManifest, manifest, yamlOf } from "../scenario/manifests.ts";
import { waitFor } from "../scenario/wait.ts";
import { answer, prompt, suite, ticketCases } from "./story.ts";
import { conditionOf, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

const CASES = 20;
const KEY = "canary-webhook-key";

const probe = (name: string, measure: string, thresholds: object, more: object = {}) => ({
  name,
  type: "Probe",
  probe: { measure },
  thresholds,
  ...more,
});

/** A model that knows every ticket but these. */
const failing =
  (...wrong: readonly number[]) =>
  ({ messages }: ChatRequest): string => {
    const index = Number(/Ticket number (\d+)\./.exec(messages.at(-1)?.content ?? "")?.[1]);
    return wrong.includes(index) ? "no idea" : (ticketCases(CASES)[index]?.expected ?? "OK");
  };

/** A case file as people keep it. */
const KEPT = [
  "# Ask Ana before you take one out.",
  "- id: old   # from March",
  "  vars: { ticket: 'Ticket number 7.' }",
  "  # It was billing until May.",
  "  expected: technical",
  "",
].join("\n");

describe("a Monitor", () => {
  let world: World;
  let tenant: Tenant;
  let model: ModelEndpointHandle;
  let prometheus: MonitoringServer;
  let alertmanager: MonitoringServer;
  let hooks: HookReceiver;

  const monitorIs = (what: string, wanted: (monitor: Monitor) => boolean) =>
    tenant.waitFor<Monitor>("Monitor", "triage", what, wanted);
  const alerts = async () => {
    const found = await fetch(`${alertmanager.url}/api/v2/alerts?filter=namespace%3D${tenant.namespace}`);
    return (await found.json()) as { labels: Record<string, string>; endsAt: string }[];
  };
  const stateOf = (monitor: Monitor, name: string) =>
    monitor.status?.signals?.find((signal) => signal.name === name)?.state;

  beforeAll(async () => {
    model = await startModelEndpoint({ answer });
    hooks = await receiveHooks();
    [prometheus, alertmanager] = await Promise.all([
      startPrometheus([{ job: "model", host: new URL(model.baseURL).host }]),
      startAlertmanager(),
    ]);
    await waitFor(
      "Prometheus to have scraped",
      async () => {
        const found = await fetch(`${prometheus.url}/api/v1/query?query=scrape_duration_seconds`);
        return ((await found.json()) as { data: { result: unknown[] } }).data.result;
      },
      (result) => result.length > 0,
    );
    world = await World.create();
    tenant = await world.tenant();
    await createSecret(world.client, tenant.namespace, "hook", { key: KEY }, [hooks.host]);
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await Promise.all([model, prometheus, alertmanager, hooks].map((each) => each?.[Symbol.asyncDispose]()));
  });

  test("watches what a commit says, with answers that are all new", async () => {
    await tenant.push({ "README.md": "Nothing yet.\n" });
    await tenant.follow();
    await tenant.said("Synced");
    await tenant.push({
      "triage.yaml": yamlOf(prompt("triage", "plain")),
      "model.yaml": yamlOf(deploymentManifest("model", model.baseURL)),
      "suite.yaml": yamlOf(suite("triage", CASES)),
    });
    await tenant.ready("EvalSuite", "triage");
    const asked = model.count;
    await tenant.push({
      "monitor.yaml": yamlOf({
        apiVersion: "slipway.dev/v1alpha1",
        kind: "Monitor",
        metadata: { name: "triage" },
        spec: {
          targetRef: { name: "model" },
          interval: "1s",
          probe: { window: "10s", minRequests: 2 },
          prometheus: { url: prometheus.url },
          signals: [
            probe("up", "availability", { operator: "Below", alert: 0.9 }),
            probe("latency", "latency", { warning: 20_000 }),
            {
              name: "scraped",
              type: "Prometheus",
              prometheus: { query: 'scrape_duration_seconds{job="model"} < bool 60' },
              thresholds: { operator: "Below", warning: 1 },
            },
            {
              name: "quality",
              type: "Replay",
              replay: { suiteRef: { name: "triage" }, reference: "LastPass" },
              thresholds: { operator: "Below", alert: -0.05 },
            },
          ],
          actions: [
            {
              name: "pager",
              type: "Alertmanager",
              alertmanager: { url: alertmanager.url, resend: "1s", labels: { team: "support" } },
            },
            {
              name: "chat",
              type: "Webhook",
              webhook: { url: `${hooks.url}/slipway`, secretRef: { name: "hook", key: "key" } },
            },
            { name: "rule", type: "PrometheusRule", prometheusRule: { labels: { release: "stack" } } },
          ],
        },
      }),
    });
    const monitor = await tenant.ready<Monitor>("Monitor", "triage", ({ status }) => status?.state === "OK");
    expect(monitor.status?.summary).toBe("4/4");
    expect(conditionOf(monitor, "Alerting")?.reason).toBe("NoAlert");
    expect(conditionOf(monitor, "TelemetryAvailable")?.status).toBe("True");
    // The same answer to every case as the suite's own run has: nothing has changed.
    const quality = monitor.status?.signals?.find(({ name }) => name === "quality");
    expect(quality?.value).toBe("0");
    const runs = (await listObjects(world.client, "EvalRun", tenant.namespace)) as unknown as EvalRun[];
    const replay = runs.filter(({ spec }) => spec.trigger === "Monitor");
    expect(replay.map(({ metadata }) => metadata.name)).toEqual([quality?.run]);
    expect(replay[0]?.status?.calls).toEqual({ made: CASES, saved: 0 });
    expect(model.count - asked).toBeGreaterThanOrEqual(CASES + 2);
  });

  test("is quiet while nothing happens, however often it looks", async () => {
    let version = "";
    const before = await waitFor(
      "the Monitor to have told all of its beginning",
      () => tenant.object<KubeObject>("Monitor", "triage"),
      (object) => {
        const { resourceVersion = "" } = object?.metadata ?? {};
        const settled = resourceVersion === version && conditionOf(object, "RulesSelected") !== undefined;
        version = resourceVersion;
        return settled;
      },
      { intervalMs: 2_000 },
    );
    const asked = model.count;
    const told = hooks.received.length;
    await waitFor(
      "five more probes",
      () => model.count,
      (count) => count >= asked + 5,
    );
    const after = await tenant.object<KubeObject>("Monitor", "triage");
    expect(after?.status).toEqual(before?.status);
    expect(after?.metadata.resourceVersion).toBe(version);
    expect(hooks.received.slice(told)).toEqual([]);
    expect(await alerts()).toEqual([]);
  });

  test("an endpoint that breaks is an ALERT, and everybody is told", async () => {
    model.set({ answer, mode: "error" });
    const monitor = await monitorIs("to be in ALERT", ({ status }) => status?.state === "ALERT");
    expect(stateOf(monitor, "up")).toBe("ALERT");
    expect(conditionOf(monitor, "Ready")?.status).toBe("True");
    expect(conditionOf(monitor, "Alerting")).toMatchObject({ status: "True", reason: "Up" });
    const seen = await waitFor("the alert at Alertmanager", alerts, (list) =>
      list.some(({ labels }) => labels.signal === "up"),
    );
    const alert = seen.find(({ labels }) => labels.signal === "up");
    expect(alert?.labels).toMatchObject({
      alertname: "SlipwayMonitor",
      monitor: "triage",
      target: "model",
      severity: "critical",
      team: "support",
    });
    await waitFor("the alert to be sent again", alerts, (list) =>
      list.some(({ labels, endsAt }) => labels.signal === "up" && endsAt > (alert?.endsAt ?? "")),
    );
    const [hook] = await waitFor(
      "the webhook",
      () => hooks.received.filter(({ body }) => JSON.parse(body).transition.signal === "up"),
      (list) => list.length > 0,
    );
    const signature = createHmac("sha256", KEY)
      .update(hook?.body ?? "")
      .digest("hex");
    expect(hook?.headers["x-slipway-signature-256"]).toBe(`sha256=${signature}`);
    expect(JSON.parse(hook?.body ?? "")).toMatchObject({
      monitor: { namespace: tenant.namespace, name: "triage" },
      transition: { signal: "up", from: "OK", to: "ALERT" },
    });
  });

  test("mended it is OK again, the alert resolved, and each transition was told once and in order", async () => {
    model.set({ answer });
    await monitorIs("to be OK", ({ status }) => status?.state === "OK");
    await waitFor("the alert to be resolved", alerts, (list) => list.length === 0);
    const told = await waitFor(
      "the webhook",
      () =>
        hooks.received.map(
          ({ body }) => JSON.parse(body).transition as { id: number; to: string; signal: string },
        ),
      (list) => list.some(({ signal, to }) => signal === "up" && to === "OK"),
    );
    const ids = told.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    const after = await monitorIs(
      "to have told all",
      ({ status }) =>
        status?.actions?.find(({ name }) => name === "chat")?.delivered === status?.history?.[0]?.id,
    );
    expect(conditionOf(after, "ActionsDelivered")?.status).toBe("True");
    expect(await world.controller.log()).not.toContain(KEY);
  });

  test("the rule is there once the operator is, and it is said whether somebody takes it up", async () => {
    expect(conditionOf(await tenant.object("Monitor", "triage"), "RulesSelected")).toMatchObject({
      status: "False",
      reason: "PrometheusOperatorMissing",
    });
    const { client } = world;
    await using _types = await operatorTypes(client);
    const said = (reason: string) =>
      waitFor(
        `RulesSelected to be ${reason}`,
        async () => {
          await tenant.request("Monitor", "triage");
          return conditionOf(await tenant.object("Monitor", "triage"), "RulesSelected")?.reason;
        },
        (found) => found === reason,
        { intervalMs: 1_000 },
      );
    await said("NotSelected");
    const rule = await client.get(PROMETHEUS_RULE, tenant.namespace, "slipway-triage");
    expect(rule.metadata.labels).toMatchObject({ release: "stack" });
    expect(rule.metadata.ownerReferences?.[0]).toMatchObject({ kind: "Monitor", name: "triage" });
    const selecting = { ruleSelector: { matchLabels: { release: "stack" } }, ruleNamespaceSelector: {} };
    const object = (spec: object): KubeObject => ({
      apiVersion: "monitoring.coreos.com/v1",
      kind: "Prometheus",
      metadata: { name: "main", namespace: tenant.namespace },
      spec,
    });
    await client.apply(PROMETHEUS, object(selecting), { fieldManager: "test", force: true });
    await said("Selected");
  });

  test("what replays fail is one pull request, to which the next one adds, and people's comments stay", async () => {
    const FILE = "cases/regressions.yaml";
    const { repository } = tenant;
    model.set({ answer: failing() });
    await tenant.push({
      [FILE]: KEPT,
      "regressions.yaml": yamlOf(
        manifest("EvalSuite", "regressions", {
          targets: [{ name: "target", promptRef: { name: "triage" }, modelRef: { name: "model" } }],
          cases: { files: [{ path: FILE }] },
          assert: [{ type: "icontains", value: "{{expected}}" }],
        }),
        manifest("Monitor", "replays", {
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
            {
              name: "cases",
              type: "OpenPullRequest",
              openPullRequest: { suiteRef: { name: "regressions" } },
            },
          ],
        }),
      ),
    });
    const told = (state: string) =>
      tenant.waitFor<Monitor>("Monitor", "replays", `to have told of ${state}`, ({ status }) => {
        const { delivered } = status?.actions?.[0] ?? {};
        return status?.state === state && delivered !== undefined && delivered === status.history?.[0]?.id;
      });
    const replayed = async (state: string, ...wrong: readonly number[]) => {
      model.set({ answer: failing(...wrong) });
      await tenant.request("Monitor", "replays");
      const { status } = await told(state);
      return status?.actions?.[0];
    };
    /** Every pull request there has been, with its commits and what its branch has in the case file. */
    const pulls = async () => {
      const path = `/repos/${repository.fullName}`;
      const found = await repository.api<
        { number: number; title: string; state: string; html_url: string; head: { ref: string } }[]
      >("GET", `${path}/pulls?state=all`);
      return Promise.all(
        found.map(async ({ number, title, state, html_url, head }) => {
          const commits = await repository.api<unknown[]>("GET", `${path}/pulls/${number}/commits`);
          const query = `ref=${encodeURIComponent(head.ref)}`;
          const file = await repository.api<{ content: string }>("GET", `${path}/contents/${FILE}?${query}`);
          const content = Buffer.from(file.content, "base64").toString("utf8");
          return { number, title, state, url: html_url, commits: commits.length, content };
        }),
      );
    };
    const proposed = (count: number) => {
      // Gitea counts a pull request's commits a moment after they were made.
      const counted = (found: Awaited<ReturnType<typeof pulls>>) =>
        found.some(({ commits }) => commits >= count);
      return waitFor(`a pull request with ${count} commits`, pulls, counted);
    };
    const added = (content: string) => {
      expect(content.slice(0, KEPT.length)).toBe(KEPT);
      return content.slice(KEPT.length).match(/^- id: .*$/gm);
    };
    await told("OK");

    const once = await replayed("ALERT", 1, 2, 3);
    const [first, ...none] = await proposed(1);
    expect(none).toEqual([]);
    expect(first).toMatchObject({ state: "open", url: once?.url, commits: 1 });
    expect(added(first!.content)).toEqual(["- id: ticket-01", "- id: ticket-02", "- id: ticket-03"]);

    await replayed("OK");
    const twice = await replayed("ALERT", 3, 4, 5);
    const [second, ...others] = await proposed(2);
    expect(others).toEqual([]);
    expect(second).toMatchObject({ number: first!.number, state: "open", commits: 2 });
    expect(second!.title).toBe("Add 5 failing cases of Monitor replays to EvalSuite regressions");
    expect(twice?.url).toBe(once?.url);
    expect(added(second!.content)).toEqual([1, 2, 3, 4, 5].map((index) => `- id: ticket-0${index}`));
  });
});
