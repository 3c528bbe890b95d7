import type { DatasetSource, DatasetSpec } from "../../../schemas/dataset.ts";
import type { EvalCase } from "../../../schemas/eval-suite.ts";
import type { CaseText, DiffDataset, DiffInput, DiffSource } from "../../data/diff/types.ts";
import { DIFF_VERSION } from "../../data/diff/version.ts";
import type { Snapshot } from "../../gitops/snapshot.ts";
import { digestOf } from "../../graph/canonical.ts";
import { nodeKey } from "../../graph/graph.ts";
import { type Outside, outsideRows } from "./outside.ts";
import type { NotCompared, NotComparedReason } from "./state.ts";

/** A Dataset to be compared. */
export interface PlannedDiff {
  readonly state: "Planned";
  readonly dataset: string;
  /** Names everything that the result depends on. */
  readonly digest: string;
  readonly input: DiffInput;
}

export type DataPlan = PlannedDiff | ({ readonly dataset: string } & NotCompared);

/** Of one pull request; what is beyond them is said. */
const MAX_DATASETS = 10;
/** Of one side's files outside of git, packed or not: as much as git may have. */
const MAX_OUTSIDE_MIB = 128;

/**
 * The Datasets that a pull request touches: those that behave differently, and those whose decontamination sees other
 * cases. Sources are the files in git on both sides, and what the controller has read already from urls that stay;
 * nothing is applied and nothing outside is read.
 * @param trusted false for a fork that nobody with write access has vouched for
 * @param outside undefined where there is no controller
 */
export async function planDiffs(
  base: Snapshot,
  head: Snapshot,
  trusted: boolean,
  outside?: Outside,
): Promise<DataPlan[]> {
  const plans: DataPlan[] = [];
  const cases = casesOf(base, head);
  for (const node of head.graph.nodes.values()) {
    if (node.kind !== "Dataset") continue;
    const { name: dataset } = node;
    if (sameData(dataset, base, head)) continue;
    const skip = (reason: NotComparedReason, message: string) =>
      plans.push({ dataset, state: "NotCompared", reason, message });
    if (!trusted) {
      skip("Fork", "the pull request comes from a fork, whose files are not read in");
      continue;
    }
    if (plans.length >= MAX_DATASETS) {
      skip("TooMany", `only ${MAX_DATASETS} Datasets of a pull request are compared`);
      continue;
    }
    const after = await chainOf(dataset, head, base, outside);
    const before = base.graph.nodes.has(node.key) ? await chainOf(dataset, base, base, outside) : undefined;
    const problem = [
      "reason" in after ? after : undefined,
      before && "reason" in before ? before : undefined,
    ].find((each) => each !== undefined);
    if (problem) skip(problem.reason, problem.message);
    else {
      const [left, right] = [before as Chain | undefined, after as Chain];
      plans.push({
        dataset,
        state: "Planned",
        digest: digestOf({
          version: DIFF_VERSION,
          base: left?.digest,
          head: right.digest,
          cases: cases.digest,
        }),
        input: {
          base: left?.datasets,
          head: right.datasets,
          cases: cases.list,
          confidential: right.confidential || left?.confidential === true,
        },
      });
    }
  }
  return plans;
}

function sameData(name: string, base: Snapshot, head: Snapshot): boolean {
  const key = nodeKey("Dataset", name);
  const [before, after] = [base.graph.nodes.get(key), head.graph.nodes.get(key)];
  if (!before || !after) return false;
  if (before.specDigest !== after.specDigest && after.revision === undefined) return false;
  if (before.revision !== after.revision) return false;
  const suites = suitesOf(after.object.spec as DatasetSpec);
  return suites.every((suite) => textDigest(base.cases.get(suite)) === textDigest(head.cases.get(suite)));
}

const suitesOf = ({ steps }: DatasetSpec): string[] =>
  steps.flatMap(({ decontaminate }) => decontaminate?.against.map(({ name }) => name) ?? []);

interface Chain {
  readonly datasets: readonly DiffDataset[];
  readonly digest: string;
  readonly confidential: boolean;
}

interface Problem {
  readonly reason: NotComparedReason;
  readonly message: string;
}

/** A Dataset and those that its rows come from, these first. */
async function chainOf(
  name: string,
  snapshot: Snapshot,
  base: Snapshot,
  outside: Outside | undefined,
): Promise<Chain | Problem> {
  const datasets: DiffDataset[] = [];
  const digests: unknown[] = [];
  const visiting = new Set<string>();
  let [outsideBytes, confidential] = [0, false];
  const visit = async (each: string): Promise<Problem | undefined> => {
    if (datasets.some((done) => done.name === each)) return undefined;
    if (visiting.has(each)) return { reason: "Cycle", message: `Dataset ${each} is made from itself` };
    visiting.add(each);
    const node = snapshot.graph.nodes.get(nodeKey("Dataset", each));
    if (!node) {
      const message = `its rows come from Dataset ${each}, which this repository does not have`;
      return { reason: "OtherRepository", message };
    }
    const { description: _, suspend: __, shareWith: ___, ...spec } = node.object.spec as DatasetSpec;
    const sources: DiffSource[] = [];
    const read: unknown[] = [];
    for (const source of spec.sources) {
      if (source.url !== undefined) {
        const rows = await outsideRows(each, source, specOf(each, base), outside);
        if ("reason" in rows) return rows;
        outsideBytes += rows.bytes;
        confidential ||= rows.confidential;
        sources.push({ name: source.name, files: rows.files });
        read.push([rows.confidential, rows.files.map(({ path, digest }) => [path, digest])]);
        continue;
      }
      const found = sourceOf(each, source, snapshot);
      if ("reason" in found) return found;
      if ("dataset" in found) {
        const problem = await visit(found.dataset);
        if (problem) return problem;
      }
      sources.push(found);
    }
    const suites = suitesOf(spec as DatasetSpec);
    datasets.push({
      name: each,
      spec: node.object.spec as DatasetSpec,
      sources,
      cases: new Map(suites.map((suite) => [suite, (snapshot.cases.get(suite) ?? []).flatMap(textsOf)])),
    });
    // The digests of files in git are in the spec.
    const cases = suites.map((suite) => textDigest(snapshot.cases.get(suite)));
    digests.push([each, spec, cases, ...(read.length > 0 ? [read] : [])]);
    return undefined;
  };
  const problem = await visit(name);
  if (problem) return problem;
  const mebibytes = Math.ceil(outsideBytes / 2 ** 20);
  if (mebibytes > MAX_OUTSIDE_MIB) {
    const message = `its sources outside of git have ${mebibytes} MiB; at most ${MAX_OUTSIDE_MIB} are compared: prepare both sides with slipway data prepare, which reads urls`;
    return { reason: "DiffTooLarge", message };
  }
  return { datasets, digest: digestOf(digests), confidential };
}

const specOf = (dataset: string, { graph }: Snapshot) =>
  graph.nodes.get(nodeKey("Dataset", dataset))?.object.spec as DatasetSpec | undefined;

function sourceOf(dataset: string, source: DatasetSource, { blobs }: Snapshot): DiffSource | Problem {
  const { name, files, datasetRef, split } = source;
  if (datasetRef?.namespace !== undefined) {
    const message = `its rows come from Dataset ${datasetRef.namespace}/${datasetRef.name} of another namespace, whose rows are not looked into for a pull request`;
    return { reason: "OtherRepository", message };
  }
  if (datasetRef) return { name, dataset: datasetRef.name, split };
  const data = files?.map(({ path, digest = "" }) => ({ path, data: blobs.get(digest) }));
  const known = data?.flatMap((file) => (file.data ? [{ path: file.path, data: file.data }] : []));
  if (known && known.length === data?.length) return { name, files: known };
  const message = `the files of the source ${name} of Dataset ${dataset} are not in git`;
  return { reason: "Outside", message };
}

/** The words that a case gives to a prompt. */
const textsOf = ({ vars }: EvalCase): string[] =>
  Object.values(vars ?? {}).filter((value) => typeof value === "string");

const digests = new WeakMap<readonly EvalCase[], string>();

/** Of the texts of a suite's cases, taken once: a reconcile asks for it each time. */
function textDigest(cases: readonly EvalCase[] | undefined): string {
  if (!cases) return "";
  const known = digests.get(cases);
  if (known !== undefined) return known;
  const digest = digestOf(cases.map((each) => [each.id, textsOf(each)]));
  digests.set(cases, digest);
  return digest;
}

/** The cases of the merge result, and of the base what the pull request takes away: that hides no leak. */
function casesOf(base: Snapshot, head: Snapshot): { list: readonly CaseText[]; digest: string } {
  const suites = [...new Set([...head.cases.keys(), ...base.cases.keys()])].sort();
  const list: CaseText[] = [];
  for (const suite of suites) {
    const after = head.cases.get(suite);
    const before = base.cases.get(suite);
    const same = after && before && textDigest(after) === textDigest(before);
    const kept = after ?? [];
    const texts = new Map(same ? [] : kept.map((each) => [each.id, digestOf(textsOf(each))]));
    const left = same ? [] : (before ?? []).filter((each) => texts.get(each.id) !== digestOf(textsOf(each)));
    for (const each of [...kept, ...left]) list.push({ suite, id: each.id ?? "", texts: textsOf(each) });
  }
  const all = suites.map((suite) => [
    suite,
    textDigest(head.cases.get(suite)),
    textDigest(base.cases.get(suite)),
  ]);
  return { list, digest: digestOf(all) };
}
