import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { KubeClient } from "../../../controller/kube/client.ts";
import { LeaderElector } from "../../../controller/kube/lease.ts";
import type { LeaseObject } from "../../../controller/kube/lease-record.ts";
import { Lease } from "../../../controller/kube/resources.ts";
import { createLogger } from "../../../controller/log.ts";
import { kubeconfigPath, type TestNamespace, testNamespace } from "./cluster.ts";

const log = createLogger("silent");
const FAST = { leaseDurationMs: 2_000, renewDeadlineMs: 1_200, retryPeriodMs: 200 };
let test: TestNamespace;
beforeAll(async () => {
  test = await testNamespace();
});
afterAll(() => test[Symbol.asyncDispose]());

function candidate(
  name: string,
  identity: string,
  options: { client?: KubeClient; work?: (s: AbortSignal) => Promise<void> } = {},
) {
  const stop = new AbortController();
  const said: string[] = [];
  const elector = new LeaderElector({
    client: test.client,
    namespace: test.namespace,
    name,
    identity,
    log,
    ...FAST,
    ...options,
  });
  const done = elector.run({
    signal: stop.signal,
    onStarted: async (leading) => {
      said.push("started");
      await (options.work?.(leading) ??
        new Promise<void>((resolve) => leading.addEventListener("abort", () => resolve())));
      said.push("work ended");
    },
    onStopped: () => said.push("stopped"),
  });
  return { elector, stop: () => stop.abort(), done, said };
}

const read = (name: string) => test.client.get<LeaseObject>(Lease, test.namespace, name);

describe("LeaderElector", () => {
  it("lets one lead, renews, and hands over at once when it stops", async () => {
    const one = candidate("handover", "one");
    await vi.waitFor(() => expect(one.said).toEqual(["started"]));
    const two = candidate("handover", "two");
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(two.said).toEqual([]);
    expect(one.elector.isLeading()).toBe(true);
    expect(two.elector.isLeading()).toBe(false);
    one.stop();
    expect(await one.done).toBe("stopped");
    expect(one.said).toEqual(["started", "work ended", "stopped"]);
    const stopped = performance.now();
    await vi.waitFor(() => expect(two.said).toEqual(["started"]), 2_000);
    // Given back, not waited out.
    expect(performance.now() - stopped).toBeLessThan(1_000);
    expect((await read("handover")).spec).toMatchObject({ holderIdentity: "two", leaseTransitions: 1 });
    two.stop();
    await two.done;
  }, 15_000);

  it("gives the lease back only after the work has ended, and renews until then", async () => {
    const slow = candidate("slow", "one", {
      work: (leading) =>
        new Promise((resolve) => leading.addEventListener("abort", () => setTimeout(resolve, 3_000))),
    });
    await vi.waitFor(() => expect(slow.said).toEqual(["started"]));
    const other = candidate("slow", "two");
    slow.stop();
    await new Promise((resolve) => setTimeout(resolve, 2_600));
    expect(slow.elector.isLeading()).toBe(true);
    expect(other.said).toEqual([]);
    expect(await slow.done).toBe("stopped");
    await vi.waitFor(() => expect(other.said).toEqual(["started"]), 2_000);
    other.stop();
    await other.done;
  }, 15_000);

  it("steps down when somebody takes the lease", async () => {
    const one = candidate("stolen", "one");
    await vi.waitFor(() => expect(one.said).toEqual(["started"]));
    await vi.waitFor(async () => {
      const lease = await read("stolen");
      lease.spec.holderIdentity = "thief";
      await test.client.replace(Lease, lease);
    });
    expect(await one.done).toBe("lost");
    expect(one.said).toEqual(["started", "work ended", "stopped"]);
    // What is not its own it does not give back.
    expect((await read("stolen")).spec.holderIdentity).toBe("thief");
  });

  it("makes the lease again when somebody deletes it", async () => {
    const one = candidate("deleted", "one");
    await vi.waitFor(() => expect(one.said).toEqual(["started"]));
    await test.client.delete(Lease, test.namespace, "deleted");
    await vi.waitFor(async () => expect((await read("deleted")).spec.holderIdentity).toBe("one"), 2_000);
    expect(one.elector.isLeading()).toBe(true);
    one.stop();
    expect(await one.done).toBe("stopped");
  });

  it("passes on what the work throws, having given the lease back", async () => {
    const one = candidate("throws", "one", { work: () => Promise.reject(new Error("broken")) });
    await expect(one.done).rejects.toThrow("broken");
    expect((await read("throws")).spec.holderIdentity).toBe("");
  });

  it("with its defaults takes over within 12 s from a leader that was killed", async () => {
    const script = `
      import { KubeClient } from "./controller/kube/client.ts";
      import { LeaderElector } from "./controller/kube/lease.ts";
      import { createLogger } from "./controller/log.ts";
      const client = KubeClient.fromKubeconfig({ path: ${JSON.stringify(kubeconfigPath())} });
      const options = { client, namespace: ${JSON.stringify(test.namespace)}, name: "killed", identity: "victim" };
      await new LeaderElector({ ...options, log: createLogger("silent") }).run({
        signal: new AbortController().signal,
        onStarted: () => { console.log("leading"); return new Promise(() => {}); },
      });`;
    const victim = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise<void>((resolve) => victim.stdout.once("data", () => resolve()));
    const defaults = { leaseDurationMs: 8_000, renewDeadlineMs: 5_000, retryPeriodMs: 1_000 };
    const stop = new AbortController();
    let leads = false;
    const elector = new LeaderElector({
      client: test.client,
      namespace: test.namespace,
      name: "killed",
      identity: "heir",
      log,
      ...defaults,
    });
    const done = elector.run({
      signal: stop.signal,
      onStarted: async (leading) => {
        leads = true;
        await new Promise<void>((resolve) => leading.addEventListener("abort", () => resolve()));
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(leads).toBe(false);
    victim.kill("SIGKILL");
    const killed = performance.now();
    await vi.waitFor(() => expect(leads).toBe(true), 15_000);
    expect(performance.now() - killed).toBeLessThan(12_000);
    stop.abort();
    await done;
  }, 30_000);
});
