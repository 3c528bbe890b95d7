import { expect, test } from "vitest";
import { ANNOTATION_REQUESTED_AT } from "../../schemas/kind.ts";
import type { Repository } from "../../schemas/repository.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/resources.ts";
import { SUSPENDED } from "./repository-status.ts";
import { writeRepositoryStatus, writeSummaries } from "./status-writer.ts";

const VERDICT = { ready: "True", stalled: false, reason: "Synced", message: "m" } as const;

function repository(resourceVersion: string, over: { metadata?: object; status?: object } = {}): KubeObject {
  return {
    apiVersion: "slipway.dev/v1alpha1",
    kind: "Repository",
    metadata: { name: "r", namespace: "n", uid: "u", generation: 2, resourceVersion, ...over.metadata },
    status: over.status ?? {},
  };
}

type Patch = { metadata: { resourceVersion?: string }; status: Record<string, unknown> };

/** What is sent when a status is decided from one version and the watch shows another. */
async function written(
  decidedFrom: KubeObject,
  cached?: KubeObject,
  status: object | undefined = { resources: 1, lastHandledRequestedAt: "1" },
): Promise<Patch | undefined> {
  let sent: Patch | undefined;
  const client = {
    patch: async (_type: unknown, _namespace: unknown, _name: unknown, body: Patch) => {
      sent = body;
      return decidedFrom;
    },
  } as unknown as KubeClient;
  await writeRepositoryStatus(client, decidedFrom as unknown as Repository, status, VERDICT, cached);
  return sent;
}

const asked = (value: string) => ({ annotations: { [ANNOTATION_REQUESTED_AT]: value } });

test("what came during the fetch and left the spec alone costs no conflict", async () => {
  const pullRequests = [{ number: 1, headSha: "a".repeat(40), state: "Success" }];
  const before = repository("9", { metadata: asked("1") });
  const now = repository("10", { metadata: asked("2"), status: { pullRequests } });
  const patch = await written(before, now);
  expect(patch?.metadata.resourceVersion).toBe("10");
  // The later request is still to be handled, and the summaries are not ours to change.
  expect(patch?.status).toMatchObject({ resources: 1, lastHandledRequestedAt: "1" });
  expect(patch?.status).not.toHaveProperty("pullRequests");
});

test("a request that came during the fetch is not taken for handled where there was none before", async () => {
  const before = repository("9");
  expect((await written(before, repository("10", { metadata: asked("2") })))?.status).toMatchObject({
    lastHandledRequestedAt: "1",
  });
});

test.each([
  ["another spec", repository("10", { metadata: { generation: 3 } })],
  ["another object of the name", repository("10", { metadata: { uid: "v" } })],
  ["an older version", repository("8")],
  ["nothing", undefined],
])("%s in the cache leaves the lock where the decision was made", async (_what, cached) => {
  expect((await written(repository("9"), cached))?.metadata.resourceVersion).toBe("9");
});

const INVENTORY = { entries: [{ id: "n/one/slipway.dev/PromptTemplate", version: "v1alpha1", uid: "1" }] };

test.each([
  ["inventory", { inventory: INVENTORY }],
  ["lastAppliedRevision", { lastAppliedRevision: "b".repeat(40) }],
])("a status decided from an %s that is another by now is not written", async (_what, status) => {
  await expect(written(repository("9"), repository("10", { status }))).rejects.toMatchObject({
    reason: "Conflict",
    status: 409,
  });
});

test("conditions alone leave an inventory that came meanwhile as it is", async () => {
  const now = repository("10", { status: { inventory: INVENTORY, lastAppliedRevision: "b".repeat(40) } });
  const failed = { ready: "False", stalled: false, reason: "GitUnreachable", message: "m" } as const;
  const sent: Patch[] = [];
  const client = { patch: async (...args: unknown[]) => sent.push(args[3] as Patch) } as never;
  await writeRepositoryStatus(client, repository("9") as unknown as Repository, undefined, failed, now);
  expect(sent[0]?.metadata.resourceVersion).toBe("10");
  expect(Object.keys(sent[0]?.status ?? {}).sort()).toEqual(["conditions", "observedGeneration"]);
});

test("a status that says nothing new is not written, whatever else has changed", async () => {
  let first: Patch | undefined = await written(repository("9"));
  const status = first?.status ?? {};
  const conditions = (status.conditions as object[]).map((condition) => ({ ...condition }));
  const same = repository("10", { metadata: asked("1"), status: { ...status, conditions } });
  first = await written(repository("9", { metadata: asked("1"), status }), same);
  expect(first).toBeUndefined();
});

test("a suspended Repository is neither ready nor not", async () => {
  const sent: Patch[] = [];
  const client = { patch: async (...args: unknown[]) => sent.push(args[3] as Patch) } as never;
  await writeRepositoryStatus(client, repository("9") as unknown as Repository, undefined, SUSPENDED);
  expect(sent[0]?.status.conditions).toMatchObject([
    { type: "Ready", status: "Unknown", reason: "Suspended" },
  ]);
});

test("summaries are the same in whatever order the API server gives their fields", async () => {
  let patches = 0;
  const client = {
    patch: async () => {
      patches += 1;
    },
  } as never;
  const headSha = "a".repeat(40);
  const known = repository("9", { status: { pullRequests: [{ headSha, number: 1, state: "Success" }] } });
  const write = (state: string) =>
    writeSummaries(client, known as unknown as Repository, [{ number: 1, state, headSha }] as never);
  await write("Success");
  expect(patches).toBe(0);
  await write("Failure");
  expect(patches).toBe(1);
});
