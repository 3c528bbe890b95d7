import { expect } from "vitest";
import { waitFor } from "../scenario/wait.ts";
import type { LoadReport, ServingWorld } from "./serving-world.ts";

/** What makes revision number `i` bad: its answers, or that it cannot start. */
const bad = (i: number): Record<string, string> =>
  i % 10 === 5 ? { ANSWER: "yes", VERSION: `crash-${i}`, CRASH: "1" } : { ANSWER: "no", VERSION: `bad-${i}` };

export interface Rollouts {
  readonly good: number;
  readonly bad: number;
  readonly load: LoadReport;
}

/**
 * Rolls out good and bad revisions by turns, under load from a pod, and checks after each what clients reach.
 * @param count of each
 */
export async function rollOutUnderLoad(world: ServingWorld, count: number): Promise<Rollouts> {
  const done = { good: 0, bad: 0 };
  await world.applySuite("triage");
  await world.deploy("triage", { ANSWER: "yes", VERSION: "good-0" });
  await world.waitReady("triage", 180_000);
  const load = await world.startLoad("triage");
  for (let i = 1; i <= count; i++) {
    const before = (await world.waitReady("triage")).status?.active;
    await world.deploy("triage", bad(i), bad(i).CRASH ? { startupTimeout: "15s" } : {});
    const stopped = await world.waitBlocked("triage", 180_000);
    expect(stopped.status).toMatchObject({ active: before, rollout: { phase: "Blocked" } });
    expect(stopped.status?.rollout?.reason).toBe(bad(i).CRASH ? "ServerCrashed" : "GateFailed");
    done.bad++;
    await world.deploy("triage", { ANSWER: "yes", VERSION: `good-${i}` });
    const ready = await world.waitReady("triage", 180_000);
    expect(ready.status?.active).not.toBe(before);
    done.good++;
    const { failed, bad: wrong, requests } = await load();
    console.log(
      `${i}/${count}: ${requests} requests, ${failed.length} failed, ${wrong.length} of a bad revision`,
    );
  }
  // Clients keep their connections to the one before until its pods stop.
  const last = await waitFor(
    "the last revision to serve every client",
    load,
    ({ versions }) => `good-${count}` in versions,
    {
      timeoutMs: 60_000,
    },
  );
  const after = await waitFor("some more requests", load, ({ requests }) => requests > last.requests + 200, {
    timeoutMs: 60_000,
  });
  return { ...done, load: after };
}

/** 0 failed requests, no bad revision ever served, every good one did. */
export function expectClean({ load, good }: Rollouts): void {
  expect(load.failed).toEqual([]);
  expect(load.bad).toEqual([]);
  expect(Object.keys(load.versions).sort()).toEqual(
    Array.from({ length: good + 1 }, (_, i) => `good-${i}`).sort(),
  );
}
