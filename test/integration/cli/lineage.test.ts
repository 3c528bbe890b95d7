import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { controlPlaneBinaries } from "../../../controller/dev/binaries.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { canonicalJson } from "../../../controller/graph/canonical.ts";
import { Secret } from "../../../controller/kube/resources.ts";
import type { Owned } from "../../../controller/lineage/ownership.ts";
import type { lineageData } from "../../../controller/lineage/show.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import type { FineTuneJob } from "../../../schemas/fine-tune-job.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../model-endpoint.ts";
import {
  getObject,
  hasCondition,
  kubeconfigPath,
  waitForObject,
  writeControllerKubeconfig,
} from "../../scenario/cluster.ts";
import { type FollowedRepository, followRepository } from "../../scenario/followed-repository.ts";
import { waitFor } from "../../scenario/wait.ts";
import { type Ended, manifest, start, temporaryFolder } from "./slipway.ts";

const ROWS = Array.from({ length: 12 }, (_, i) => `{"prompt":"question ${i}","completion":"answer ${i}"}\n`);

const files = (baseURL: string) => ({
  "prompt.yaml": manifest("PromptTemplate", "triage", {
    messages: [{ role: "user", content: "Well: {{q}}" }],
    variables: [{ name: "q" }],
    output: { configMapName: "triage-prompt" },
  }),
  "model.yaml": manifest("ModelDeployment", "small", {
    type: "External",
    external: { baseURL, model: "m-1" },
  }),
  "suite.yaml": manifest("EvalSuite", "triage", {
    targets: [{ name: "main", promptRef: { name: "triage" }, modelRef: { name: "small" } }],
    cases: { inline: [{ id: "one", vars: { q: "?" } }] },
    assert: [{ type: "equals", value: "yes" }],
  }),
  "dataset.yaml": manifest("Dataset", "tickets", {
    format: "completion",
    sources: [{ name: "archive", files: [{ path: "data/tickets.jsonl" }] }],
  }),
  "data/tickets.jsonl": ROWS.join(""),
  "lora.yaml": manifest("FineTuneJob", "lora", {
    baseModel: { source: "hf://team/base@main" },
    datasetRef: { name: "tickets" },
    adapter: {},
  }),
});

let model: ModelEndpointHandle;
let team: FollowedRepository;
let commit: string;
let cache: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  cache = await temporaryFolder();
  model = await startModelEndpoint({ answer: () => "yes", models: ["m-1"] });
  team = await followRepository({ files: files(model.baseURL), interval: "10m", forge: false, work: true });
  const { client, namespace, name } = team;
  for (const [kind, of] of [
    ["EvalSuite", "triage"],
    ["Dataset", "tickets"],
  ] as const)
    await waitForObject(
      client,
      [kind, namespace, of],
      "Ready",
      (object) => hasCondition(object, "Ready"),
      60_000,
    );
  const repository = await getObject<{ status: { lastAppliedRevision: string } }>(
    client,
    "Repository",
    namespace,
    name,
  );
  commit = repository?.status.lastAppliedRevision ?? "";
});
afterAll(async () => {
  await team?.[Symbol.asyncDispose]();
  await model?.close();
  await cache?.[Symbol.asyncDispose]();
});

const slipway = (...args: string[]): Promise<Ended> =>
  start(
    [args[0] ?? "", "--kubeconfig", kubeconfigPath(), "-n", team.namespace, ...args.slice(1)],
    cache.path,
    { NO_COLOR: "1" },
  ).ended;

/** Does what a trainer's pod does: with the token of its Secret it stores an adapter, and reports. */
async function train(): Promise<string> {
  const { client, namespace, controller } = team;
  const isAsked = ({ status }: FineTuneJob) => status?.training?.job !== undefined;
  const asked = await waitForObject<FineTuneJob>(
    client,
    ["FineTuneJob", namespace, "lora"],
    "started",
    isAsked,
    60_000,
  );
  const name = asked.status?.training?.job ?? "";
  const secret = await waitFor(
    `the token ${name}`,
    () => client.get(Secret, namespace, name).catch(() => undefined),
    (found) => found !== undefined,
    { timeoutMs: 30_000 },
  );
  const { token = "" } = (secret?.data ?? {}) as { token?: string };
  const authorization = `Bearer ${Buffer.from(token, "base64").toString()}`;
  const send = async (path: string, method: string, body: string) => {
    const answer = await fetch(`${controller.url}${path}`, { method, body, headers: { authorization } });
    expect(answer.ok, `${method} ${path}: HTTP ${answer.status}`).toBe(true);
    return answer;
  };
  const store = async (body: string) =>
    (await (await send("/artifacts", "PUT", body)).json()) as { digest: string; bytes: number };
  const file = { path: "adapter_model.safetensors", ...(await store("weights")) };
  const { digest } = await store(canonicalJson({ version: 1, type: "adapter", files: [file], metadata: {} }));
  const resolved = `hf://team/base@${"c".repeat(40)}`;
  const result = {
    artifact: { digest, type: "adapter", bytes: file.bytes },
    base: { source: "hf://team/base@main", resolved },
    steps: 3,
  };
  await send("/work/report", "POST", JSON.stringify({ state: "Succeeded", result }));
  await waitForObject(
    client,
    ["FineTuneJob", namespace, "lora"],
    "Ready",
    (object) => hasCondition(object, "Ready"),
    30_000,
  );
  return digest;
}

describe("slipway lineage", () => {
  test("from the commit to the verdict, as the API server has it", async () => {
    const { code, stdout, stderr } = await slipway("lineage", "mdep/small", "-o", "json");
    expect([code, stderr]).toEqual([0, ""]);
    const { subject, nodes, edges } = JSON.parse(stdout) as ReturnType<typeof lineageData>;
    const suite = await getObject<EvalSuite>(team.client, "EvalSuite", team.namespace, "triage");
    const run = `EvalRun/${suite?.status?.lastRun}`;
    expect(subject).toBe("ModelDeployment/small");
    expect(nodes.map(({ kind, name, state }) => [kind, name, state])).toEqual([
      ["ModelDeployment", "small", "Ready"],
      ["Repository", team.name, "Ready"],
      ["Commit", commit.slice(0, 12), "Outside"],
      ["EvalSuite", "triage", "Ready"],
      ["EvalRun", suite?.status?.lastRun, "Ready"],
    ]);
    expect(edges.map(({ from, to }) => [from, to])).toContainEqual(["EvalSuite/triage", run]);
    expect(nodes.at(-1)?.facts).toEqual(["Pass", "score 100.0%", "trigger Merge"]);
  });

  test("from rows: the artifact, and the file by its digest", async () => {
    const { stdout } = await slipway("lineage", "dset/tickets");
    expect(stdout).toMatch(/^Dataset\/tickets +Ready +[0-9a-f]{12} {2}12 rows, sha256:[0-9a-f]{12}$/m);
    expect(stdout).toMatch(/File\/data\/tickets\.jsonl +read +sha256:[0-9a-f]{12}$/m);
  });

  test("from rows to the adapter that was trained on them, and the base model as it was read", async () => {
    const digest = await train();
    const { stdout } = await slipway("lineage", "ftj/lora");
    expect(stdout).toMatch(
      new RegExp(
        `^FineTuneJob/lora +Ready +[0-9a-f]{12} {2}adapter ${digest.slice(0, 19)}, sft with lora$`,
        "m",
      ),
    );
    expect(stdout).toMatch(/Dataset\/tickets +content +Ready +[0-9a-f]{12} {2}12 rows/);
    expect(stdout).toContain(`BaseModel/hf://team/base@${"c".repeat(40)}`);
    expect((await slipway("lineage", "dset/tickets", "-o", "mermaid")).stdout).toContain("FineTuneJob lora");
  });

  test("as Mermaid, and refused for what is not there", async () => {
    expect((await slipway("lineage", "EvalSuite/triage", "-o", "mermaid")).stdout).toContain("|observes|");
    expect(await slipway("lineage", "mdep/large")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `there is no ModelDeployment large in the namespace ${team.namespace}\n`,
    });
    expect((await slipway("lineage", "pod/x")).code).toBe(2);
  });
});

describe("slipway tree", () => {
  const tree = async (...more: string[]) => {
    const { code, stdout, stderr } = await slipway("tree", "-o", "json", ...more);
    expect(code, stderr).toBe(0);
    return { roots: JSON.parse(stdout) as Owned[], stderr };
  };
  const shape = (roots: readonly Owned[]): string[] =>
    roots.flatMap(({ kind, name, ready, children }) => [
      `${kind}/${name} ${ready}`,
      ...shape(children).map((line) => `  ${line}`),
    ]);

  test("every object with what it owns", async () => {
    const suite = await getObject<EvalSuite>(team.client, "EvalSuite", team.namespace, "triage");
    const { training } =
      (await getObject<FineTuneJob>(team.client, "FineTuneJob", team.namespace, "lora"))?.status ?? {};
    // The pod itself waits for a node, which this cluster has not.
    const shown = shape((await tree()).roots).filter((line) => !line.includes("Pod/"));
    expect(shown).toEqual([
      `Repository/${team.name} True`,
      "Dataset/tickets True",
      "PromptTemplate/triage True",
      "  ConfigMap/triage-prompt ",
      "FineTuneJob/lora True",
      `  ConfigMap/${training?.job} `,
      `  Job/${training?.job} 0/1`,
      "ModelDeployment/small True",
      "EvalSuite/triage True",
      `  EvalRun/${suite?.status?.lastRun} True`,
    ]);
    expect((await slipway("tree")).stdout).toMatch(
      /^PromptTemplate\/triage +True +Compiled +[0-9a-f]{12} +\d+s$/m,
    );
  });

  test("as kubectl get says", async () => {
    const kubectl = join(await controlPlaneBinaries({ report: silent }), "kubectl");
    const get = ["--kubeconfig", kubeconfigPath(), "-n", team.namespace, "get", "dset", "--no-headers"];
    const [, ready, , revision] = (await promisify(execFile)(kubectl, get)).stdout.trim().split(/\s+/);
    expect((await tree()).roots.find(({ kind }) => kind === "Dataset")).toMatchObject({ ready, revision });
  });

  test("without what the user may not list, and says so", async () => {
    await using folder = await temporaryFolder();
    // The controller's own account: it reads Pods and Deployments, and no ReplicaSets.
    await writeControllerKubeconfig(team.client, join(folder.path, "config"));
    const { roots, stderr } = await tree("--kubeconfig", join(folder.path, "config"));
    expect(stderr).toMatch(/^left out, as you may not list them: .*\bReplicaSet\b/);
    expect(shape(roots)).toContain("Dataset/tickets True");
  });
});
