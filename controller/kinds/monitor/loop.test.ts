import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ModelDeployment, modelDeploymentSpec } from "../../../schemas/model-deployment.ts";
import { type Monitor, type MonitorStatus, monitorSpec, type Transition } from "../../../schemas/monitor.ts";
import { object } from "../../../test/kind-objects.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../../test/model-endpoint.ts";
import { type HookReceiver, receiveHooks } from "../../../test/monitoring/hooks.ts";
import { waitFor } from "../../../test/scenario/wait.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import { createLogger } from "../../log.ts";
import { EffectRunner } from "../../runtime/effects.ts";
import type { View } from "../../runtime/kind.ts";
import { completeStatus, sameStatus, statusOf } from "../../runtime/status.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { monitor as monitorKind } from "./index.ts";

/*
 * The kind with its effects and its intent log, on a real endpoint, without a cluster: what the engine does with a
 * decision is done here in a few lines.
 */

const KEY = "canary-loop-key";
const owner = { ref: { kind: "Monitor", namespace: "team", name: "monitor" }, uid: "uid-Monitor" };

let model: ModelEndpointHandle;
let hooks: HookReceiver;
let folder: string;
let state: StateStore;
let running: Process | undefined;
let current: Monitor;
let writes: MonitorStatus[];

/** One life of the controller. */
class Process {
  reconciles = 0;
  readonly #kind;
  readonly #runner: EffectRunner;
  #timer: NodeJS.Timeout | undefined;
  #chain: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(target: ModelDeployment) {
    const secrets = {
      read: async () => ({ data: { key: KEY }, allowedHosts: [hooks.host] }),
    } as unknown as SecretReader;
    const forgeOf = () => Promise.reject(new Error("no forge"));
    this.#kind = monitorKind({ ...state, secrets, client: {} as KubeClient, forgeOf });
    const log = createLogger("silent");
    this.#runner = new EffectRunner({
      intents: state.intents,
      handlers: () => this.#kind.effects,
      wake: () => this.wake(),
      log,
    });
    const view: View = {
      get: <T>(type: { kind: string }) =>
        (type.kind === "ModelDeployment" ? target : undefined) as T | undefined,
      list: () => [],
      children: () => [],
      effect: (_, effect, digest) => this.#runner.outcome(owner, effect, digest),
      report: () => undefined,
    };
    this.#view = view;
  }
  readonly #view: View;

  wake(afterMs = 0): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#chain = this.#chain.then(() => this.#reconcile());
    }, afterMs);
  }

  async #reconcile(): Promise<void> {
    if (this.#stopped) return;
    this.reconciles++;
    const now = new Date();
    const before = current as unknown as KubeObject;
    const decision = this.#kind.decide(this.#kind.observe(before, this.#view), now);
    await this.#runner.retain(owner, decision.effects);
    const status = completeStatus(before, decision.status, now);
    if (!sameStatus(status, statusOf(before))) {
      current = { ...current, status: status as MonitorStatus };
      writes.push(status as MonitorStatus);
    }
    this.wake(decision.requeueAfterMs ?? 3_600_000);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#chain;
    await this.#runner.stop(5_000);
  }
}

const target = () =>
  object<ModelDeployment>("ModelDeployment", {
    spec: modelDeploymentSpec.parse({
      type: "External",
      external: { baseURL: model.baseURL, model: "m", timeout: "2s" },
    }),
  });
const start = () => {
  running = new Process(target());
  running.wake();
};
const until = (what: string, wanted: (status: MonitorStatus) => boolean) =>
  waitFor(
    what,
    () => current.status ?? {},
    (status) => wanted(status),
    { timeoutMs: 15_000 },
  );
const told = () =>
  hooks.received
    .filter(({ headers }) => headers["x-slipway-event"] !== undefined)
    .map(({ body }) => JSON.parse(body).transition as Transition);
const alerts = () =>
  hooks.received
    .filter(({ headers }) => headers["x-slipway-event"] === undefined)
    .map(({ body }) => JSON.parse(body) as { labels: { signal: string }; endsAt: string }[]);

beforeEach(async () => {
  [model, hooks] = await Promise.all([startModelEndpoint(), receiveHooks()]);
  folder = await mkdtemp(join(tmpdir(), "slipway-monitor-"));
  state = await openStateStore(folder);
  writes = [];
  current = object<Monitor>("Monitor", {
    spec: monitorSpec.parse({
      targetRef: { name: "m" },
      interval: "1s",
      probe: { window: "3s", minRequests: 1 },
      signals: [
        {
          name: "up",
          type: "Probe",
          probe: { measure: "availability" },
          thresholds: { operator: "Below", alert: 0.9 },
        },
        {
          name: "first-token",
          type: "Probe",
          probe: { measure: "timeToFirstToken" },
          thresholds: { alert: 60_000 },
        },
      ],
      actions: [
        { name: "pager", type: "Alertmanager", alertmanager: { url: hooks.url, resend: "1s" } },
        {
          name: "chat",
          type: "Webhook",
          webhook: { url: `${hooks.url}/hook`, secretRef: { name: "hook", key: "key" } },
        },
      ],
    }),
  });
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await state.close();
  await Promise.all([model.close(), hooks[Symbol.asyncDispose]()]);
  await rm(folder, { recursive: true, force: true });
});

test("an outage from beginning to end, with a restart in its midst", async () => {
  start();
  await until("OK", ({ state: is, signals }) => is === "OK" && signals?.length === 2);
  await until("nothing more to tell", ({ actions }) => actions?.[1]?.delivered === 2);
  const quiet = writes.length;
  const asked = model.count;
  const before = running?.reconciles ?? 0;
  await waitFor(
    "three more probes",
    () => model.count,
    (count) => count >= asked + 3,
  );
  expect(writes.length).toBe(quiet);
  // A probe is a start, an end and a turn of the clock: nothing spins.
  expect((running?.reconciles ?? 0) - before).toBeLessThan(20);
  expect(hooks.received).toEqual([]);

  model.set({ mode: "error" });
  await until("ALERT", ({ state: is }) => is === "ALERT");
  await waitFor("the webhook", told, (list) => list.some(({ to }) => to === "ALERT"));
  await waitFor("two sendings of the alert", alerts, (list) => list.length >= 2);
  const [first, second] = alerts();
  expect(first?.map(({ labels }) => labels.signal)).toEqual(["up"]);
  expect(Date.parse(second?.[0]?.endsAt ?? "")).toBeGreaterThan(Date.parse(first?.[0]?.endsAt ?? ""));
  await until("no first token", ({ signals }) => signals?.[1]?.state === "NO_DATA");
  await until("all to be told", ({ actions, history }) => actions?.[1]?.delivered === history?.[0]?.id);

  const count = told().length;
  const written = writes.length;
  await running?.stop();
  start();
  const again = model.count;
  await waitFor(
    "two probes of the next process",
    () => model.count,
    (made) => made >= again + 2,
  );
  expect(told().length).toBe(count);
  expect(writes.length).toBe(written);

  model.set({});
  await until("OK again", ({ state: is, summary }) => is === "OK" && summary === "2/2");
  await until("all to be told", ({ actions, history }) => actions?.[1]?.delivered === history?.[0]?.id);
  await waitFor("the alert to be resolved", alerts, (list) =>
    (list.at(-1) ?? []).every(({ endsAt }) => Date.parse(endsAt) <= Date.now()),
  );
  const ids = told().map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  expect(new Set(ids).size).toBe(ids.length);
  const up = told().filter(({ signal }) => signal === "up");
  expect(up.map(({ from, to }) => `${from} ${to}`)).toEqual(["OK ALERT", "ALERT OK"]);
  for (const { headers, body } of hooks.received) {
    if (headers["x-slipway-event"] === undefined) continue;
    const signature = createHmac("sha256", KEY).update(body).digest("hex");
    expect(headers["x-slipway-signature-256"]).toBe(`sha256=${signature}`);
  }
}, 90_000);

test("a window of requests that time out is an availability of 0 and no latency, and ends nobody", async () => {
  model.set({ mode: "hang" });
  start();
  const status = await until("a state of both", ({ signals }) => signals?.length === 2);
  expect(status.signals?.map(({ name, state: is, value }) => [name, is, value])).toEqual([
    ["up", "ALERT", "0"],
    ["first-token", "NO_DATA", undefined],
  ]);
  expect(status.signals?.[1]?.message).toMatch(/^ModelTimeout: /);
}, 30_000);
