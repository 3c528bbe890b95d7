import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EventRecorder } from "../../../controller/kube/events.ts";
import {
  ConfigMap,
  Event,
  type KubeObject,
  Namespace,
  Role,
  RoleBinding,
  Secret,
  ServiceAccount,
} from "../../../controller/kube/resources.ts";
import {
  ALLOWED_HOSTS_ANNOTATION,
  assertHostAllowed,
  SecretReader,
} from "../../../controller/kube/secrets.ts";
import { createLogger } from "../../../controller/log.ts";
import { type TestNamespace, testNamespace } from "./cluster.ts";

let test: TestNamespace;
beforeAll(async () => {
  test = await testNamespace();
});
afterAll(() => test[Symbol.asyncDispose]());

const meta = (name: string) => ({ name, namespace: test.namespace });

describe("EventRecorder", () => {
  const recorder = (intervals: object = {}) =>
    new EventRecorder({ client: test.client, log: createLogger("silent"), instance: "pod-0", ...intervals });

  async function eventsOf(name: string, namespace = test.namespace): Promise<KubeObject[]> {
    const { items } = await test.client.list(Event, { namespace });
    return items.filter((event) => (event.regarding as { name: string }).name === name);
  }

  it("writes an event that the server accepts, about an object", async () => {
    const object = await test.client.create<KubeObject>(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: meta("one"),
    });
    const events = recorder();
    events.record(object, { type: "Warning", reason: "EvaluationFailed", note: "ü".repeat(2_000) });
    await events.close();
    const [event, ...others] = await eventsOf("one");
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      type: "Warning",
      reason: "EvaluationFailed",
      action: "EvaluationFailed",
      reportingController: "slipway.dev/controller",
      reportingInstance: "pod-0",
      regarding: {
        kind: "ConfigMap",
        name: "one",
        namespace: test.namespace,
        uid: object.metadata.uid,
      },
    });
    expect(Buffer.byteLength(event?.note as string)).toBeLessThanOrEqual(1_024);
    expect(event?.note).toMatch(/^ü+…$/);
  });

  it("counts repetitions in a series, and keeps different notes apart", async () => {
    const object: KubeObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...meta("many"), uid: "u" },
    };
    const events = recorder({ seriesIntervalMs: 50 });
    const say = (note: string) => events.record(object, { type: "Normal", reason: "Synced", note });
    say("a");
    await vi.waitFor(async () => expect(await eventsOf("many")).toHaveLength(1));
    for (let i = 0; i < 4; i++) say("a");
    say("b");
    await vi.waitFor(async () => expect(await eventsOf("many")).toHaveLength(2));
    say("a");
    await events.close();
    const found = await eventsOf("many");
    expect(
      found.map((event) => [event.note, (event.series as { count: number } | undefined)?.count]).sort(),
    ).toEqual([
      ["a", 6],
      ["b", undefined],
    ]);
  });

  it("starts a new event after the window", async () => {
    const object: KubeObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...meta("window"), uid: "u" },
    };
    const events = recorder({ windowMs: 50 });
    events.record(object, { type: "Normal", reason: "Synced", note: "a" });
    await vi.waitFor(async () => expect(await eventsOf("window")).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 60));
    events.record(object, { type: "Normal", reason: "Synced", note: "a" });
    await events.close();
    expect(await eventsOf("window")).toHaveLength(2);
  });

  it("puts events about cluster-scoped objects into default", async () => {
    const object = await test.client.get(Namespace, undefined, test.namespace);
    const events = recorder();
    events.record(object, { type: "Normal", reason: "Seen", note: "a" });
    await events.close();
    expect(await eventsOf(test.namespace, "default")).toHaveLength(1);
  });

  it("logs what the server refuses and throws nothing", async () => {
    const log = createLogger("silent");
    const warn = vi.spyOn(log, "warn");
    const events = new EventRecorder({ client: test.client, log });
    const nowhere: KubeObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "x", namespace: "does-not-exist" },
    };
    events.record(nowhere, { type: "Normal", reason: "Lost", note: "a" });
    await events.close();
    expect(warn).toHaveBeenCalledWith(expect.objectContaining({ reason: "Lost" }), "cannot write an event");
  });
});

describe("SecretReader", () => {
  beforeAll(async () => {
    const { client } = test;
    for (const name of ["reader", "stranger"]) {
      await client.create(ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata: meta(name) });
    }
    const secret = (name: string, annotations: Record<string, string>) =>
      client.create(Secret, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { ...meta(name), annotations },
        stringData: { apiKey: "canary-ключ" },
      });
    await secret("bound", { [ALLOWED_HOSTS_ANNOTATION]: " API.example.com , *.test.dev:8443" });
    await secret("free", {});
    const group = "rbac.authorization.k8s.io";
    await client.create(Role, {
      apiVersion: `${group}/v1`,
      kind: "Role",
      metadata: meta("secrets"),
      rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }],
    });
    await client.create(RoleBinding, {
      apiVersion: `${group}/v1`,
      kind: "RoleBinding",
      metadata: meta("secrets"),
      roleRef: { apiGroup: group, kind: "Role", name: "secrets" },
      subjects: [{ kind: "ServiceAccount", ...meta("reader") }],
    });
    const reader = new SecretReader({ client });
    await vi.waitFor(() => reader.read(test.namespace, "bound", "reader"), 5_000);
  });

  it("reads as the account, decoded, with the hosts it is bound to", async () => {
    const secret = await new SecretReader({ client: test.client }).read(test.namespace, "bound", "reader");
    expect(secret).toEqual({
      data: { apiKey: "canary-ключ" },
      allowedHosts: ["api.example.com", "*.test.dev:8443"],
    });
    assertHostAllowed("https://api.example.com/v1", secret, "bound");
    expect(() => assertHostAllowed("https://evil.test/v1", secret, "bound")).toThrow(
      expect.objectContaining({ code: "HostNotAllowed" }),
    );
  });

  it.each([
    ["bound", "stranger", "SecretForbidden"],
    ["bound", "", "EmptyIdentity"],
    ["bound", "reader:x", "InvalidIdentity"],
    ["none", "reader", "SecretNotFound"],
    ["free", "reader", "SecretNotBound"],
  ])("refuses %s to %j with %s, and tells nothing", async (name, account, code) => {
    const reader = new SecretReader({ client: test.client });
    const error = (await reader.read(test.namespace, name, account).catch((e: unknown) => e)) as Error & {
      hint?: string;
    };
    expect(error).toMatchObject({ code });
    expect(error.hint ?? error.message).not.toBe("");
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain("canary");
  });

  it("gives an unbound one to who will not send it", async () => {
    const reader = new SecretReader({ client: test.client });
    const secret = await reader.read(test.namespace, "free", "reader", { bound: false });
    expect(secret).toEqual({ data: { apiKey: "canary-ключ" }, allowedHosts: [] });
  });

  it("keeps an answer for its time, for each account apart", async () => {
    let now = 0;
    const get = vi.spyOn(test.client, "get");
    const reader = new SecretReader({ client: test.client, now: () => now });
    const read = () => reader.read(test.namespace, "bound", "reader");
    await Promise.all([read(), read()]);
    now = 59_999;
    await read();
    expect(get).toHaveBeenCalledTimes(1);
    await expect(reader.read(test.namespace, "bound", "stranger")).rejects.toMatchObject({
      code: "SecretForbidden",
    });
    await expect(reader.read(test.namespace, "bound", "stranger")).rejects.toMatchObject({
      code: "SecretForbidden",
    });
    expect(get).toHaveBeenCalledTimes(3);
    now = 60_000;
    await read();
    expect(get).toHaveBeenCalledTimes(4);
    get.mockRestore();
  });
});
