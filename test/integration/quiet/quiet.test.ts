import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigMap } from "../../../controller/kube/resources.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import type { PromptTemplate } from "../../../schemas/prompt-template.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../model-endpoint.ts";
import { AuditLog } from "../../scenario/audit.ts";
import { getObject, hasCondition, listObjects, waitForObject } from "../../scenario/cluster.ts";
import { type FollowedRepository, followRepository } from "../../scenario/followed-repository.ts";
import { lonePrompt, manyResources } from "../../scenario/many-resources.ts";
import { waitFor } from "../../scenario/wait.ts";
import { reconcileNow, silence, TIMEOUT_MS } from "./rest.ts";

let model: ModelEndpointHandle;
let team: FollowedRepository;
let audit: AuditLog;

beforeAll(async () => {
  audit = await AuditLog.atEnd();
  model = await startModelEndpoint({ record: false });
  team = await followRepository({
    files: manyResources(model.baseURL),
    interval: "10m",
    forge: false,
    leaderElection: true,
  });
  const kinds = ["PromptTemplate", "ModelDeployment", "EvalSuite"];
  await waitFor(
    "200 resources that are Ready",
    async () =>
      (await Promise.all(kinds.map((kind) => listObjects(team.client, kind, team.namespace)))).flat(),
    (objects) => objects.length === 200 && objects.every((object) => hasCondition(object, "Ready")),
    {
      timeoutMs: TIMEOUT_MS,
      intervalMs: 500,
      context: async () => (await readFile(team.logFile, "utf8")).split("\n").slice(-5).join("\n"),
      show: (objects) =>
        objects.filter((object) => !hasCondition(object, "Ready")).map(({ status }) => status),
    },
  );
  await silence(audit);
});
afterAll(async () => {
  await team?.[Symbol.asyncDispose]();
  await model?.close();
});

/** Has the Repository fetched and everything in it looked at, and waits until that is done. */
async function reconcileAll(commit: string): Promise<void> {
  const before = await team.controller.metric("slipway_reconcile_total");
  await reconcileNow(team, commit);
  await waitFor(
    "a reconcile of every resource",
    async () => (await team.controller.metric("slipway_reconcile_total")) - before,
    (reconciles) => reconciles >= 200,
    { timeoutMs: TIMEOUT_MS },
  );
  await silence(audit);
}

const push = (files: Readonly<Record<string, string>>, message: string) =>
  team.git.commitFiles("main", files, message);

const count = (lines: readonly string[], what: RegExp) => lines.filter((line) => what.test(line)).length;
const withoutEvents = (lines: readonly string[]) => lines.filter((line) => !/^\w+ events/.test(line));

describe("200 resources", () => {
  test("nothing changed: at most two writes of the Repository's status, and not one request more", async () => {
    await audit.mark();
    await reconcileAll(await push({ "README.md": "# Prompts of the team\n" }, "Say whose they are"));
    const lines = await audit.ofController();
    const status = `patch repositories/${team.name}/status`;
    expect(lines.filter((line) => line !== status)).toEqual([]);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(2);
  });

  test("one prompt edited: one dry run and one PATCH of it and of its ConfigMap, and the statuses that change", async () => {
    await audit.mark();
    await reconcileAll(
      await push({ "prompts/prompt-100.yaml": lonePrompt("In a word: {{ticket}}") }, "Be brief"),
    );
    const lines = withoutEvents(await audit.ofController());
    expect(lines.filter((line) => !line.startsWith("patch repositories/"))).toEqual([
      "patch configmaps/prompt-100",
      "patch configmaps/prompt-100 (dry run)",
      "patch prompttemplates/prompt-100 (dry run) as team",
      "patch prompttemplates/prompt-100 as team",
      "patch prompttemplates/prompt-100/status",
    ]);
    const own = count(lines, /^patch repositories\/team\/status$/);
    expect(own).toBe(count(lines, /repositories/));
    expect(own).toBeGreaterThan(0);
    expect(own).toBeLessThanOrEqual(2);
    const prompt = await getObject<PromptTemplate>(
      team.client,
      "PromptTemplate",
      team.namespace,
      "prompt-100",
    );
    const map = await team.client.get(ConfigMap, team.namespace, "prompt-100");
    expect((map.data as { revision: string }).revision).toBe(prompt?.status?.revision);
  });

  test("a ConfigMap changed by hand is put back with one dry run and one PATCH", async () => {
    await audit.mark();
    const before = await team.client.get(ConfigMap, team.namespace, "prompt-101");
    await team.client.patch(
      ConfigMap,
      team.namespace,
      "prompt-101",
      { data: { revision: "mine" } },
      { contentType: "application/merge-patch+json", fieldManager: "test" },
    );
    await waitForObject<typeof before>(
      team.client,
      ["ConfigMap", team.namespace, "prompt-101"],
      "repaired",
      ({ data }) =>
        (data as { revision: string }).revision === (before.data as { revision: string }).revision,
    );
    await silence(audit);
    expect(withoutEvents(await audit.ofController())).toEqual([
      "patch configmaps/prompt-101",
      "patch configmaps/prompt-101 (dry run)",
    ]);
  });

  test("a suite whose prompt is edited is evaluated again, and no other", async () => {
    await audit.mark();
    const suites = await listObjects(team.client, "EvalSuite", team.namespace);
    const runOf = (list: readonly unknown[]) =>
      Object.fromEntries(
        (list as EvalSuite[]).map(({ metadata, status }) => [metadata.name, status?.lastRun]),
      );
    const before = runOf(suites);
    const text = lonePrompt("In a word: {{ticket}}").replaceAll("prompt-100", "prompt-3");
    await reconcileAll(await push({ "prompts/prompt-3.yaml": text }, "Be brief here, too"));
    await waitFor(
      "another run of suite-3",
      async () => runOf(await listObjects(team.client, "EvalSuite", team.namespace)),
      (runs) => runs["suite-3"] !== before["suite-3"],
    );
    await silence(audit);
    const after = runOf(await listObjects(team.client, "EvalSuite", team.namespace));
    expect({ ...after, "suite-3": "" }).toEqual({ ...before, "suite-3": "" });
    const touched = withoutEvents(await audit.ofController()).filter((line) => !/ repositories\//.test(line));
    expect(touched.filter((line) => !/(prompt|suite)-3\b/.test(line))).toEqual([]);
    expect(count(touched, /^patch prompttemplates\/prompt-3/)).toBe(3);
    expect(count(touched, /^patch configmaps\/prompt-3/)).toBe(2);
  });
});
