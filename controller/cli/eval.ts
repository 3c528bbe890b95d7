import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { durationMs } from "../../schemas/common.ts";
import { budget as budgetSchema, type EvalSuite } from "../../schemas/eval-suite.ts";
import { cacheRoot } from "../dev/paths.ts";
import { createProgress } from "../dev/progress.ts";
import { describeError, formatLocation, SlipwayError } from "../errors.ts";
import type { BundledModel, SideBundle, SuiteBundle } from "../eval/bundle.ts";
import { callModel } from "../eval/model/call.ts";
import type { ModelAnswer, ModelRequest } from "../eval/model/types.ts";
import { endpointFacts } from "../eval/model-facts.ts";
import type { GateOutcome, RunResult } from "../eval/result.ts";
import { runEvaluation } from "../eval/run.ts";
import { folderSource } from "../gitops/folder.ts";
import { openLocalRepository } from "../gitops/git.ts";
import { loadSnapshot, type Snapshot } from "../gitops/snapshot.ts";
import { impactOf } from "../graph/impact.ts";
import { hostAllowed, parseAllowedHosts } from "../kube/allowed-hosts.ts";
import { createLogger } from "../log.ts";
import { difference, interval, value } from "../pr/format.ts";
import { sideOf } from "../pr/plan.ts";
import { openStateStore } from "../store/open.ts";
import type { ResultCache } from "../store/store.ts";
import { onInterrupt } from "./interrupt.ts";
import { memoryCache } from "./memory-cache.ts";

interface Options {
  file: string;
  suite?: string;
  base?: string;
  head?: string;
  json?: string;
}

/** What the process ends with, as CI wants to know it. */
const EXIT = { pass: 0, fail: 1, error: 2, inconclusive: 3 } as const;

/** `slipway eval`: suites on a laptop or in CI, with no cluster. */
export function evalCommand(): Command {
  return new Command("eval")
    .description("run the evaluation suites of a folder, without a cluster")
    .requiredOption("-f, --file <dir>", "folder with the manifests")
    .option(
      "--suite <name>",
      "only this suite (default: with --base those that the change touches, else all)",
    )
    .option("--base <ref>", "git ref to compare with; its suites and gates judge both sides")
    .option("--head <ref>", "git ref to judge (default: the folder as it is)")
    .option("--json <file>", "write the whole result as JSON")
    .addHelpText(
      "after",
      [
        "",
        "Exit status: 0 pass, 1 regressed or a gate failed, 2 usage or error, 3 inconclusive.",
        "Deployments with a secretRef use the key in SLIPWAY_API_KEY; it is sent to the hosts in",
        "SLIPWAY_ALLOWED_HOSTS (comma-separated host[:port]) and nowhere else.",
        "Answers are kept in the cache folder as they come, so that a second run, also after Ctrl-C, asks only",
        "what is missing. While another `slipway eval` uses the folder, a run keeps its answers to itself.",
      ].join("\n"),
    )
    .action(async (options: Options) => {
      using stop = onInterrupt();
      try {
        process.exitCode = await evaluate(options, stop.signal);
      } catch (error) {
        console.error(stop.signal.aborted ? "interrupted" : `cannot evaluate: ${describeError(error)}`);
        process.exitCode = EXIT.error;
      }
    });
}

async function evaluate(options: Options, signal: AbortSignal): Promise<number> {
  const { base, head } = await snapshots(options);
  const policy = base ?? head;
  const names = suitesToRun(options, policy, base, head);
  const results: RunResult[] = [];
  const finish = async (code: number) => {
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`);
    return code;
  };
  if (names.length === 0) {
    console.log(base ? "no suite reaches what changes" : "there is no EvalSuite in the folder");
    return finish(base ? EXIT.pass : EXIT.error);
  }
  const { cache, close } = await openCache();
  try {
    for (const name of names) {
      const result = await runSuite(name, { policy, base, head }, cache, signal);
      results.push(result);
      print(result);
    }
  } finally {
    await close();
  }
  return finish(exitCode(results));
}

/** The cache of this machine, or one that ends with the process while another uses it. */
async function openCache(): Promise<{ cache: ResultCache; close: () => Promise<void> }> {
  try {
    const state = await openStateStore(join(cacheRoot(), "eval"));
    return { cache: state.results, close: () => state.close() };
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code !== "StateInUse") throw error;
    console.error(`warning: ${error.message}; this run keeps its answers to itself`);
    return { cache: memoryCache(), close: async () => {} };
  }
}

async function snapshots(options: Options): Promise<{ base: Snapshot | undefined; head: Snapshot }> {
  const repository =
    options.base === undefined && options.head === undefined
      ? undefined
      : await openLocalRepository(options.file);
  const at = async (ref: string) => {
    if (!repository) throw new SlipwayError("NotARepository", `${options.file} is not in a git repository`);
    return loadSnapshot(
      repository.mirror.at(await repository.mirror.resolve(ref), repository.path),
      repository.path,
    );
  };
  const head =
    options.head === undefined ? await loadSnapshot(folderSource(options.file), "") : await at(options.head);
  const base = options.base === undefined ? undefined : await at(options.base);
  for (const error of head.errors) console.error(`${formatLocation(error.location)}: ${error.message}`);
  if (head.errors.length > 0) {
    throw new SlipwayError("InvalidManifests", `${head.errors.length} errors in the manifests`, {
      hint: "slipway validate shows them",
    });
  }
  return { base, head };
}

function suitesToRun(
  options: Options,
  policy: Snapshot,
  base: Snapshot | undefined,
  head: Snapshot,
): string[] {
  const all = [...policy.graph.nodes.values()]
    .filter(({ kind }) => kind === "EvalSuite")
    .map(({ name }) => name);
  if (options.suite !== undefined) {
    if (!all.includes(options.suite)) {
      throw new SlipwayError("SuiteNotFound", `there is no EvalSuite ${options.suite}`, {
        hint: `choose one of ${all.join(", ") || "none"}`,
      });
    }
    return [options.suite];
  }
  return base ? impactOf(base.graph, head.graph).suites.map(({ suite }) => suite) : all;
}

async function runSuite(
  name: string,
  sides: { policy: Snapshot; base: Snapshot | undefined; head: Snapshot },
  cache: ResultCache,
  signal: AbortSignal,
): Promise<RunResult> {
  const node = sides.policy.graph.nodes.get(`EvalSuite/${name}`);
  const cases = sides.policy.cases.get(name);
  if (!node || !cases || node.revision === undefined)
    throw new SlipwayError("SuiteInvalid", `EvalSuite ${name} is not valid`);
  const spec = node.object.spec as EvalSuite["spec"];
  const side = (snapshot: Snapshot): SideBundle => {
    const found = sideOf(spec, snapshot.graph);
    if ("missing" in found)
      throw new SlipwayError("TargetMissing", `EvalSuite ${name} needs ${found.missing}`);
    return found.side;
  };
  const judge = spec.judge && sides.policy.graph.nodes.get(`ModelDeployment/${spec.judge.modelRef.name}`);
  const suite: SuiteBundle = {
    name,
    revision: node.revision,
    cases,
    assert: spec.assert,
    gates: spec.gates,
    repeats: spec.repeats,
    budget: spec.budget ?? budgetSchema.parse({}),
    ...(judge?.revision === undefined
      ? {}
      : {
          judge: {
            name: judge.name,
            revision: judge.revision,
            spec: judge.object.spec as BundledModel["spec"],
          },
        }),
  };
  const progress = createProgress();
  const result = await runEvaluation(
    { suite, head: side(sides.head), ...(sides.base ? { base: side(sides.base) } : {}), tenant: "local" },
    {
      cache,
      ask,
      now: Date.now,
      signal,
      // Failures are in the result, which is printed.
      log: createLogger(process.env.SLIPWAY_LOG_LEVEL ?? "error"),
      onProgress: ({ done, total, made, saved }) =>
        progress.report(`${name}: ${done} of ${total} answers, ${made} calls, ${saved} saved`),
    },
  );
  progress.done();
  return result;
}

function ask(model: BundledModel, request: ModelRequest, signal: AbortSignal): Promise<ModelAnswer> {
  const external = endpointFacts(model);
  const endpoint = {
    baseURL: external.baseURL,
    model: external.model,
    timeoutMs: durationMs(external.timeout),
  };
  if (!external.secretRef) return callModel({ endpoint, request, signal });
  const apiKey = process.env.SLIPWAY_API_KEY;
  if (!apiKey) {
    throw new SlipwayError(
      "KeyMissing",
      `ModelDeployment ${model.name} has a secretRef, and SLIPWAY_API_KEY is not set`,
      {
        hint: "set SLIPWAY_API_KEY, and the hosts it may go to in SLIPWAY_ALLOWED_HOSTS",
      },
    );
  }
  const allowedHosts = parseAllowedHosts(process.env.SLIPWAY_ALLOWED_HOSTS ?? "");
  if (!hostAllowed(external.baseURL, allowedHosts)) {
    const host = URL.parse(external.baseURL)?.host ?? "this address";
    throw new SlipwayError("HostNotAllowed", `SLIPWAY_API_KEY may not be sent to ${host}`, {
      hint: `if it is meant to go there, name ${host} in SLIPWAY_ALLOWED_HOSTS`,
    });
  }
  return callModel({ endpoint: { ...endpoint, apiKey }, request, signal, allowedHosts });
}

function print(result: RunResult): void {
  console.log(
    `\n${result.suite.name}: ${result.verdict}${result.message === "" ? "" : `, ${result.message}`}`,
  );
  for (const gate of result.gates) console.log(`  ${gate.passed ? "pass" : "FAIL"}  ${describeGate(gate)}`);
  const rows = new Map(result.cases.map((row) => [`${row.target}/${row.id}`, row]));
  for (const key of result.worst) {
    const row = rows.get(key);
    // A model's answer must not steer the terminal: JSON leaves C1 controls and direction marks as they are.
    const output = (text: string | undefined) =>
      JSON.stringify((text ?? "").slice(0, 60)).replace(/[\p{Cc}\p{Cf}]/gu, "?");
    console.log(
      `  worst ${key}: ${row?.base ? `${output(row.base.output)} -> ` : ""}${output(row?.head?.output)}`,
    );
  }
  console.log(`  ${result.calls.made} model calls made, ${result.calls.saved} saved by the cache`);
}

function describeGate(gate: GateOutcome): string {
  const change =
    gate.base === undefined
      ? value(gate.metric, gate.head)
      : `${value(gate.metric, gate.base)} -> ${value(gate.metric, gate.head)}`;
  const delta =
    gate.delta === undefined
      ? ""
      : ` (${difference(gate.metric, gate.delta)}, 90 % interval ${interval(gate)})`;
  return `${gate.name} ${gate.metric} ${gate.outcome}: ${change}${delta}`;
}

/** The worst of all suites. */
export function exitCode(results: readonly Pick<RunResult, "verdict" | "passed">[]): number {
  if (results.some(({ verdict }) => verdict === "Error")) return EXIT.error;
  if (results.some(({ verdict }) => verdict === "Fail")) return EXIT.fail;
  if (results.some(({ verdict }) => verdict === "Inconclusive")) return EXIT.inconclusive;
  return EXIT.pass;
}
