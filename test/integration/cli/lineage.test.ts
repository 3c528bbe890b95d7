import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { controlPlaneBinaries } from "../../../controller/dev/binaries.ts";
import { silent } from "../../../controller/dev/progress.ts";
import type { Owned } from "../../../controller/lineage/ownership.ts";
import type { lineageData } from "../../../controller/lineage/show.ts";
import type { EvalSuite } from "../../../schemas/eval-suite.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../model-endpoint.ts";
import {
  getObject,
  hasCondition,
  kubeconfigPath,
  waitForObject,
  writeControllerKubeconfig,
} from "../../scenario/cluster.ts";
import { type FollowedRepository, followRepository } from "../../scenario/followed-repository.ts";
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
});

let model: ModelEndpointHandle;
let team: FollowedRepository;
let commit: string;
let cache: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  cache = await temporaryFolder();
  model = await startModelEndpoint({ answer: () => "yes", models: ["m-1"] });
  team = await followRepository({ files: files(model.baseURL), interval: "10m", forge: false });
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
    expect(shape((await tree()).roots)).toEqual([
      `Repository/${team.name} True`,
      "Dataset/tickets True",
      "PromptTemplate/triage True",
      "  ConfigMap/triage-prompt ",
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
