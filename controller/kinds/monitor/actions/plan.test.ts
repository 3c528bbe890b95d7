import { describe, expect, test } from "vitest";
import type { EvalRun } from "../../../../schemas/eval-run.ts";
import { type EvalSuite, evalSuiteSpec } from "../../../../schemas/eval-suite.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import {
  type Monitor,
  type MonitorStatus,
  monitorSpec,
  type Transition,
} from "../../../../schemas/monitor.ts";
import { type Repository, repositorySpec } from "../../../../schemas/repository.ts";
import { failed, later, NOW, object, running, succeeded } from "../../../../test/kind-objects.ts";
import type { EffectOutcome } from "../../../runtime/kind.ts";
import type { AlertmanagerInput } from "./alertmanager.ts";
import { type ActionContext, type ActionPlan, decideActions, planOf } from "./plan.ts";
import { type RuleInput, ruleRemoval, ruleStatus } from "./prometheus-rule.ts";
import type { WebhookInput } from "./webhook.ts";

const target = object<ModelDeployment>("ModelDeployment", {
  spec: {
    type: "External",
    external: { baseURL: "https://a.example.com/v1", model: "m", timeout: "60s", maxConcurrency: 8 },
  },
});
const context: ActionContext = { serviceAccountName: "team", target, runs: [], get: () => undefined };
const at = (minute: number) =>
  later(minute * 60_000)
    .toISOString()
    .replace(".000Z", "Z");
const went = (id: number, to: Transition["to"], from?: Transition["to"], signal = "slow"): Transition => ({
  id,
  time: at(id),
  signal,
  to,
  ...(from ? { from } : {}),
});

const webhook = {
  name: "chat",
  type: "Webhook",
  webhook: { url: "https://hooks.example.com/x?y=1", secretRef: { name: "hook", key: "key" } },
};
const alertmanager = {
  name: "pager",
  type: "Alertmanager",
  alertmanager: { url: "http://am:9093", labels: { team: "llm", severity: "mine" }, resend: "30s" },
};
const rule = { name: "rule", type: "PrometheusRule", prometheusRule: { labels: { release: "stack" } } };

const monitorOf = (action: object, status: MonitorStatus = {}, changes: object = {}) =>
  object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      prometheus: { url: "http://prometheus:9090", runtime: "VLLM" },
      signals: [
        {
          name: "slow",
          type: "Prometheus",
          prometheus: { query: "slowness" },
          thresholds: { warning: 1, alert: 2 },
          for: "5m",
        },
      ],
      actions: [action],
      ...changes,
    }),
    status,
  });
const decideOne = (monitor: Monitor, outcome?: EffectOutcome, now = NOW) =>
  decideActions(monitor, new Map([[monitor.spec.actions?.[0]?.name ?? "", outcome]]), context, now);
const inputOf = <T>(monitor: Monitor) =>
  (planOf(monitor, monitor.spec.actions![0]!, context) as ActionPlan).input as T;

describe("Webhook", () => {
  const told = (delivered: number, ...history: Transition[]) =>
    monitorOf(webhook, { history: history.toReversed(), actions: [{ name: "chat", delivered }] });

  test("an action that is new tells of nothing that was before", () => {
    const monitor = monitorOf(webhook, { history: [went(4, "ALERT", "OK")] });
    expect(decideOne(monitor)).toMatchObject({ effects: [], statuses: [{ name: "chat", delivered: 4 }] });
  });

  test("each transition, the oldest first, written ahead, under a key of its own", () => {
    const monitor = told(1, went(1, "OK"), went(2, "ALERT", "OK"), went(3, "OK", "ALERT"));
    const { effects, statuses } = decideOne(monitor);
    expect(effects).toMatchObject([{ name: "webhook", attempt: 1, durable: true }]);
    expect(statuses).toEqual([{ name: "chat", delivered: 1 }]);
    const { body, ...rest } = inputOf<WebhookInput>(monitor);
    expect(body).toEqual({
      id: "uid-Monitor/chat/2",
      monitor: { namespace: "team", name: "monitor", uid: "uid-Monitor" },
      target: { kind: "ModelDeployment", name: "m" },
      transition: went(2, "ALERT", "OK"),
    });
    expect(rest).toMatchObject({ url: webhook.webhook.url, secretRef: { name: "hook", key: "key" } });
  });

  test("once told, the next", () => {
    const monitor = told(1, went(2, "ALERT", "OK"), went(3, "OK", "ALERT"));
    expect(decideOne(monitor, succeeded({ status: 200 }))).toMatchObject({
      effects: [],
      statuses: [{ name: "chat", delivered: 2 }],
      waitMs: 50,
    });
  });

  test("that a signal is OK at first is nothing to tell", () => {
    expect(decideOne(told(0, went(1, "OK"), went(2, "OK", undefined, "b")))).toMatchObject({
      effects: [],
      statuses: [{ delivered: 2 }],
    });
    expect(decideOne(told(0, went(1, "ALERT"))).effects).toHaveLength(1);
  });

  test("tries again what may pass, and shows why in the words that it had first", () => {
    const monitor = told(1, went(2, "ALERT", "OK"));
    const once = decideOne(monitor, failed("WebhookUnreachable", true));
    expect(once).toMatchObject({
      effects: [{ attempt: 2 }],
      statuses: [{ delivered: 1, reason: "WebhookUnreachable", message: "WebhookUnreachable happened" }],
      events: [],
    });
    const again = { ...monitor, status: { ...monitor.status, actions: [...once.statuses] } };
    expect(decideOne(again, running(2)).statuses).toEqual(once.statuses);
  });

  test.each([
    ["what will never pass", failed("WebhookRejected", false), "WebhookRejected"],
    ["after ten minutes", failed("WebhookUnreachable", true, 25), "WebhookUnreachable"],
  ])("gives up %s, says so, and goes on with the next", (_, outcome, reason) => {
    expect(decideOne(told(1, went(2, "ALERT", "OK")), outcome)).toMatchObject({
      effects: [],
      statuses: [{ delivered: 2, reason }],
      events: [{ type: "Warning", reason }],
      waitMs: 50,
    });
  });

  test("what fell out of the history is not told, what is left is", () => {
    expect(inputOf<WebhookInput>(told(3, went(30, "ALERT", "OK"))).body.transition.id).toBe(30);
  });
});

describe("Alertmanager", () => {
  const signal = (state: "OK" | "WARNING" | "ALERT", since: number) => ({
    signals: [{ name: "slow", state, since: at(since), value: "3" }],
  });

  test("sends what fires, with labels that the user's own cannot take the place of, and again in time", () => {
    const monitor = monitorOf(alertmanager, { ...signal("ALERT", 2), history: [went(2, "ALERT", "OK")] });
    const input = inputOf<AlertmanagerInput>(monitor);
    expect(input).toMatchObject({ url: "http://am:9093", validMs: 120_000 });
    expect(input.alerts).toEqual([
      {
        labels: {
          alertname: "SlipwayMonitor",
          namespace: "team",
          monitor: "monitor",
          signal: "slow",
          target: "m",
          severity: "critical",
          team: "llm",
        },
        annotations: { summary: "signal slow of Monitor team/monitor is in ALERT at 3" },
        startsAt: at(2),
      },
    ]);
    const sent = succeeded({ sent: 1 });
    expect(decideOne(monitor, sent)).toMatchObject({ effects: [{ attempt: 1 }], waitMs: 29_000 });
    expect(decideOne(monitor, sent, later(29_000)).effects).toMatchObject([{ attempt: 2 }]);
  });

  test("nothing has fired: nothing is sent", () => {
    expect(
      decideOne(monitorOf(alertmanager, { ...signal("OK", 1), history: [went(1, "OK")] })),
    ).toMatchObject({
      effects: [],
      statuses: [{ name: "pager" }],
    });
  });

  test("resolves what is over, once", () => {
    const monitor = monitorOf(alertmanager, {
      ...signal("OK", 3),
      history: [went(3, "OK", "ALERT"), went(2, "ALERT", "OK"), went(1, "OK")],
    });
    const [alert, ...others] = inputOf<AlertmanagerInput>(monitor).alerts;
    expect(alert).toMatchObject({ labels: { severity: "critical" }, startsAt: at(2), endsAt: at(3) });
    expect(others).toEqual([]);
    expect(decideOne(monitor, succeeded({ sent: 1 }), later(3_600_000)).effects).toMatchObject([
      { attempt: 1 },
    ]);
  });

  test("from ALERT to WARNING one is resolved and the other fires", () => {
    const monitor = monitorOf(alertmanager, {
      ...signal("WARNING", 3),
      history: [went(3, "WARNING", "ALERT"), went(2, "ALERT", "OK")],
    });
    expect(
      inputOf<AlertmanagerInput>(monitor).alerts.map(({ labels, endsAt }) => [labels.severity, endsAt]),
    ).toEqual([
      ["warning", undefined],
      ["critical", at(3)],
    ]);
  });

  test("an alert that came back is not resolved", () => {
    const monitor = monitorOf(alertmanager, {
      ...signal("ALERT", 4),
      history: [went(4, "ALERT", "OK"), went(3, "OK", "ALERT"), went(2, "ALERT", "OK")],
    });
    expect(inputOf<AlertmanagerInput>(monitor).alerts).toHaveLength(1);
  });

  test("a failure is shown and tried again soon", () => {
    const monitor = monitorOf(alertmanager, signal("ALERT", 2));
    expect(decideOne(monitor, failed("AlertmanagerUnreachable", true))).toMatchObject({
      effects: [{ attempt: 1 }],
      statuses: [{ reason: "AlertmanagerUnreachable" }],
      waitMs: 9_000,
    });
  });
});

describe("PrometheusRule", () => {
  type Rule = { alert: string; expr: string; for?: string; labels: { severity: string } };
  const rulesOf = (monitor: Monitor) =>
    (inputOf<RuleInput>(monitor).rule!.spec as { groups: { rules: Rule[] }[] }).groups[0]!.rules;

  test("has the limits as Prometheus reads them", () => {
    const monitor = monitorOf(rule);
    expect(inputOf<RuleInput>(monitor).rule).toMatchObject({
      kind: "PrometheusRule",
      metadata: { name: "slipway-monitor", namespace: "team", labels: { release: "stack" } },
    });
    expect(rulesOf(monitor).map((each) => [each.expr, each.for, each.labels.severity])).toEqual([
      ["(slowness) > 1", "5m", "warning"],
      ["(slowness) > 2", "5m", "critical"],
    ]);
  });

  test("below, without data, and figures of the runtime", () => {
    const signals = [
      {
        name: "low",
        type: "Prometheus",
        prometheus: { metric: "tokensPerSecond" },
        thresholds: { operator: "Below", alert: 10 },
        noData: "Alert",
      },
    ];
    const query = "sum(rate(vllm:generation_tokens_total[5m]))";
    const rules = rulesOf(monitorOf(rule, {}, { signals }));
    expect(rules.map(({ expr }) => expr)).toEqual([`(${query}) < 10`, `absent(${query})`]);
    // Alertmanager knows alerts by their labels: what ends the one must not end the other.
    expect(rules[0]!.labels).not.toEqual(rules[1]!.labels);
  });

  test.each([
    ["taken up", { selectedBy: ["monitoring/k8s"] }, "True", "Selected", "slipway-monitor"],
    ["taken up by nobody", { selectedBy: [] }, "False", "NotSelected", "slipway-monitor"],
    ["unknown", { message: "may not list" }, "Unknown", "SelectionUnknown", "slipway-monitor"],
    ["no operator", { missing: true }, "False", "PrometheusOperatorMissing", undefined],
  ])("%s", (_, output, status, reason, name) => {
    const found = ruleStatus(monitorOf(rule), succeeded(output));
    expect(found.condition).toMatchObject({ type: "RulesSelected", status, reason });
    expect(found.rule).toBe(name);
  });

  test("what was known stands while it is applied again", () => {
    const before = ruleStatus(monitorOf(rule), succeeded({ selectedBy: ["a/b"] })).condition!;
    const monitor = monitorOf(rule, { rule: "slipway-monitor", conditions: [before] });
    expect(ruleStatus(monitor, running(2))).toEqual({ rule: "slipway-monitor", condition: before });
  });

  test("is taken away when no action asks for it", () => {
    const status = { rule: "slipway-monitor" };
    expect(ruleRemoval(monitorOf(webhook, status), "team")?.input).not.toHaveProperty("rule");
    expect(ruleRemoval(monitorOf(rule, status), "team")).toBeUndefined();
    expect(ruleRemoval(monitorOf(webhook), "team")).toBeUndefined();
  });
});

describe("OpenPullRequest", () => {
  const action = {
    name: "cases",
    type: "OpenPullRequest",
    openPullRequest: { suiteRef: { name: "regressions" } },
  };
  const signals = [
    {
      name: "slow",
      type: "Replay",
      replay: { suiteRef: { name: "wide" } },
      thresholds: { operator: "Below", alert: 0.8 },
    },
    { name: "up", type: "Probe", probe: { measure: "availability" }, thresholds: { alert: 1 } },
  ];
  const digest = `sha256:${"1".repeat(64)}`;
  const run = object<EvalRun>("EvalRun", {
    metadata: { name: "run-1" },
    spec: {
      suite: { name: "wide", revision: "a".repeat(64), bundle: digest },
      trigger: "Monitor",
      head: { bundle: digest, revision: "b".repeat(64) },
    },
    status: { verdict: "Fail", result: digest },
  });
  const suite = (
    changes: object = {},
    labels: Record<string, string> = { "slipway.dev/repository": "app" },
  ) =>
    object<EvalSuite>("EvalSuite", {
      metadata: { name: "regressions", labels },
      spec: evalSuiteSpec.parse({
        targets: [{ name: "t", promptRef: { name: "p" }, modelRef: { name: "m" } }],
        cases: { files: [{ path: "cases/old.yaml" }] },
        ...changes,
      }),
    });
  const repository = object<Repository>("Repository", {
    metadata: { name: "app" },
    spec: repositorySpec.parse({
      url: "https://git.example.com/a/b.git",
      serviceAccountName: "team",
      path: "llm",
    }),
  });
  const monitor = (transition: Transition, told = 1) =>
    monitorOf(
      action,
      {
        signals: [{ name: "slow", state: "ALERT", since: "", run: "run-1" }],
        history: [transition],
        actions: [{ name: "cases", delivered: told }],
      },
      { signals, prometheus: undefined },
    );
  const decided = (of: Monitor, objects: Record<string, unknown>, outcome?: EffectOutcome, runs = [run]) =>
    decideActions(
      of,
      new Map([["cases", outcome]]),
      {
        ...context,
        runs,
        get: <T>(kind: string, name: string) => objects[`${kind}/${name}`] as T | undefined,
      },
      NOW,
    );
  const all = { "EvalSuite/regressions": suite(), "Repository/app": repository };

  test("when a replay gets worse: for the suite's first file, in its repository, written ahead", () => {
    const { effects } = decided(monitor(went(2, "ALERT", "OK")), all);
    expect(effects).toMatchObject([
      {
        name: "pullRequest",
        durable: true,
        input: {
          run: { name: "run-1", result: digest, suiteBundle: digest },
          path: "llm/cases/old.yaml",
          suite: { name: "regressions" },
          repository: { metadata: { name: "app" } },
        },
      },
    ]);
  });

  test.each([
    ["another signal's", went(2, "ALERT", "OK", "up")],
    ["one to something better", went(2, "OK", "ALERT")],
  ])("%s transition is none of its", (_, transition) => {
    expect(decided(monitor(transition), all)).toMatchObject({ effects: [], statuses: [{ delivered: 2 }] });
  });

  test("a replay without a result does not hide another's", () => {
    const both = monitorOf(
      action,
      {
        signals: [
          { name: "slow", state: "ALERT", since: "", run: "run-1" },
          { name: "broken", state: "ALERT", since: "", run: "run-2" },
        ],
        history: [went(3, "ALERT", "OK"), went(2, "ALERT", "OK", "broken")],
        actions: [{ name: "cases", delivered: 1 }],
      },
      { signals: [{ ...signals[0], name: "broken", noData: "Alert" }, ...signals], prometheus: undefined },
    );
    const broken = {
      ...run,
      metadata: { ...run.metadata, name: "run-2" },
      status: { verdict: "Error" as const },
    };
    expect(decided(both, all, undefined, [broken, run])).toMatchObject({
      effects: [{ name: "pullRequest", input: { signal: "slow", transition: 3, run: { name: "run-1" } } }],
      statuses: [{ delivered: 1 }],
    });
  });

  test("a run that is not kept any more", () => {
    expect(decided(monitor(went(2, "ALERT", "OK")), all, undefined, [])).toMatchObject({
      effects: [],
      statuses: [{ delivered: 2 }],
    });
  });

  test.each([
    ["no suite", {}, "EvalSuiteNotFound"],
    ["no file", { cases: { inline: [{ id: "a" }] } }, "NoCaseFile"],
    ["a suite made by hand", undefined, "NotFromGit"],
  ])("%s: it waits and says so", (name, changes, reason) => {
    const made = changes === undefined ? suite({}, {}) : suite(changes);
    const objects = name === "no suite" ? {} : { ...all, "EvalSuite/regressions": made };
    expect(decided(monitor(went(2, "ALERT", "OK")), objects)).toMatchObject({
      effects: [],
      statuses: [{ delivered: 1, reason }],
    });
  });

  test("shows the pull request, also while nothing is new", () => {
    const outcome = succeeded({ added: 2, url: "https://forge/7" });
    const { statuses } = decided(monitor(went(2, "ALERT", "OK")), all, outcome);
    expect(statuses).toEqual([{ name: "cases", delivered: 2, url: "https://forge/7" }]);
    const quiet = monitor(went(2, "ALERT", "OK"), 2);
    const later = { ...quiet, status: { ...quiet.status, actions: [...statuses] } };
    expect(decided(later, all).statuses).toEqual(statuses);
  });
});
