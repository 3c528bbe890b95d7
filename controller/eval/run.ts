import { durationMs } from "../../schemas/common.ts";
import type { EvalCase } from "../../schemas/eval-suite.ts";
import { SlipwayError } from "../errors.ts";
import { deadline } from "../kube/deadline.ts";
import type { Logger } from "../log.ts";
import type { ResultCache } from "../store/store.ts";
import { Answers, type Ask, exceeded } from "./answers.ts";
import type { SideBundle, SuiteBundle } from "./bundle.ts";
import { formatMoney } from "./cost.ts";
import { DEFAULT_GATE, evaluateGates } from "./gates.ts";
import { describeCase, measureCase, type Observation } from "./measure.ts";
import { observe } from "./observe.ts";
import { type Pair, pairTargets, toMeasured, toTarget } from "./pairs.ts";
import type { CaseSide, CriticalFailure, RunResult } from "./result.ts";
import { forEachBounded } from "./schedule.ts";
import { checkSuite, figureMetrics, modelsOf } from "./suite.ts";
import { judge } from "./verdict.ts";
import { countChanges, worstCases } from "./worst.ts";

export interface RunInput {
  readonly suite: SuiteBundle;
  readonly base?: SideBundle;
  readonly head: SideBundle;
  /** Caches of different tenants know nothing of each other. */
  readonly tenant: string;
  /** Of the statistics' resampling; from the suite's revision unless given. */
  readonly seed?: number;
}

export interface RunDependencies {
  readonly cache: ResultCache;
  readonly ask: Ask;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly log?: Logger;
  /** Saved answers older than this are asked for again: for hosted aliases that move. */
  readonly maxAgeMs?: number;
}

/** `done` and `total` count answers: cases times targets, sides and repeats. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly made: number;
  readonly saved: number;
}

/** Calls that failed for good, before the run asks no more. A dead endpoint must not be asked for every case. */
const MAX_FAILURES = 5;
/** Characters of answers that a result keeps; of failing ones beyond that, the beginning. */
const MAX_KEPT_OUTPUT = 16 * 1024 * 1024;

/**
 * Evaluates a suite on the head, and on the base to compare with. Every answer is saved as it arrives, so a run that was
 * cut off goes on where it stopped when it is started again.
 *
 * Verdict Error means that nothing was found out: infrastructure, judge, budget or a mistake in the suite.
 * @throws the signal's reason when aborted
 */
export async function runEvaluation(input: RunInput, deps: RunDependencies): Promise<RunResult> {
  const run = new Run(input, deps);
  return run.execute();
}

class Run {
  readonly #input: RunInput;
  readonly #deps: RunDependencies;
  readonly #pairs: readonly Pair[];
  readonly #errors = new Map<string, { count: number; message: string }>();
  readonly #critical: CriticalFailure[] = [];
  readonly #startedAt: number;
  readonly #seen = new WeakSet<SlipwayError>();
  #fatal: SlipwayError | undefined;
  #failures = 0;
  #kept = 0;
  #done = 0;

  constructor(input: RunInput, deps: RunDependencies) {
    this.#input = input;
    this.#deps = deps;
    this.#startedAt = deps.now();
    this.#pairs = pairTargets(input.base, input.head);
  }

  async execute(): Promise<RunResult> {
    const { suite, base, head, tenant } = this.#input;
    const { cache, ask, now, signal, maxAgeMs } = this.#deps;
    signal.throwIfAborted();
    using limit = deadline(durationMs(suite.budget.timeout), signal);
    const models = modelsOf(suite, [base, head]);
    const answers = new Answers({
      cache,
      tenant,
      ask,
      now,
      signal: limit.signal,
      budget: suite.budget,
      models,
      maxAgeMs,
    });
    try {
      await checkSuite(suite, [base, head]);
      const ended = await Promise.allSettled(this.#pairs.map((pair) => this.#evaluate(pair, answers)));
      // Where the reason is an error of ours, the calls that it cut off look like calls that failed.
      signal.throwIfAborted();
      for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
      for (const pair of this.#pairs) {
        const refused = refusal(pair);
        if (refused && !this.#fatal) throw refused;
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const fatal = limit.expired ? exceeded(`timeout is ${suite.budget.timeout}`) : error;
      if (!(fatal instanceof SlipwayError)) throw fatal;
      if (!this.#fatal) this.#note(fatal);
      this.#fatal ??= fatal;
    }
    return this.#result(answers);
  }

  /** Base and head of a case are asked side by side, so that both see the endpoint in the same state. */
  async #evaluate(pair: Pair, answers: Answers): Promise<void> {
    const { suite } = this.#input;
    // More open cases than calls in flight: while one is graded or waits for a shared answer, others are asked.
    const open = 2 * suite.budget.concurrency + 2;
    await forEachBounded(suite.cases.entries(), open, async ([index, row]) => {
      if (answers.stopped) return;
      try {
        await this.#case(pair, index, row, answers);
      } catch (error) {
        if (!(error instanceof SlipwayError)) throw error;
        this.#fail(error, answers);
      }
    });
  }

  async #case(pair: Pair, index: number, row: EvalCase, answers: Answers): Promise<void> {
    const { suite } = this.#input;
    const sides: { base: Promise<Observation>[]; head: Promise<Observation>[] } = { base: [], head: [] };
    for (let repeat = 0; repeat < suite.repeats; repeat++) {
      // Neither side is always the first.
      const order = (index + repeat) % 2 === 0 ? (["base", "head"] as const) : (["head", "base"] as const);
      for (const side of order) {
        const target = pair[side];
        if (target) sides[side].push(this.#observed(observe(suite, row, target, repeat, answers), answers));
      }
    }
    const settled = await Promise.allSettled([...sides.base, ...sides.head]);
    const failed = settled.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    this.#keep(pair, index, row, await Promise.all(sides.base), await Promise.all(sides.head));
  }

  async #observed(pending: Promise<Observation>, answers: Answers): Promise<Observation> {
    const observation = await pending;
    this.#done++;
    this.#deps.onProgress?.({
      done: this.#done,
      total: this.#total(),
      made: answers.made,
      saved: answers.saved,
    });
    if (observation.error) this.#note(new SlipwayError(observation.error.code, observation.error.message));
    return observation;
  }

  #keep(
    pair: Pair,
    index: number,
    row: EvalCase,
    base: readonly Observation[],
    head: readonly Observation[],
  ): void {
    const before = base.length > 0 ? measureCase(base) : undefined;
    const after = head.length > 0 ? measureCase(head) : undefined;
    if (before) pair.totals.base.add(before, base);
    if (after) pair.totals.head.add(after, head);
    pair.measured[index] = {
      id: row.id,
      ...(row.cluster !== undefined && { cluster: row.cluster }),
      ...(before && { base: before }),
      ...(after && { head: after }),
    };
    const keepOutput = (characters: number): boolean => {
      this.#kept += characters;
      return this.#kept <= MAX_KEPT_OUTPUT;
    };
    pair.rows[index] = {
      id: row.id,
      target: pair.name,
      ...(row.critical && { critical: true as const }),
      ...(before && { base: describeCase(before, base, keepOutput) }),
      ...(after && { head: describeCase(after, head, keepOutput) }),
    };
    if (row.critical && after?.passRate === 0)
      this.#critical.push({ target: pair.name, id: row.id, alsoOnBase: before?.passRate === 0 });
  }

  /** Something failed that is nobody's verdict. The rest is still asked, so that the next run has less to do. */
  #fail(error: SlipwayError, answers: Answers): void {
    // The same error reaches everybody who shared the call, and after a stop everybody.
    if (this.#seen.has(error)) return;
    this.#seen.add(error);
    this.#note(error);
    this.#fatal ??= error;
    this.#failures++;
    this.#deps.log?.warn({ code: error.code, err: error }, "a call of the evaluation failed");
    if (!error.retryable || this.#failures >= MAX_FAILURES) answers.stop(this.#fatal);
  }

  #note({ code, message }: SlipwayError): void {
    const known = this.#errors.get(code);
    if (known) known.count++;
    else this.#errors.set(code, { count: 1, message });
  }

  #total(): number {
    const { suite } = this.#input;
    const sides = this.#pairs.reduce((sum, { base, head }) => sum + (base ? 1 : 0) + (head ? 1 : 0), 0);
    return suite.cases.length * suite.repeats * sides;
  }

  #result(answers: Answers): RunResult {
    const { suite } = this.#input;
    const seed = this.#input.seed ?? (Number.parseInt(suite.revision.slice(0, 8), 16) || 1);
    const rows = this.#pairs.flatMap((pair) => pair.rows.filter((row) => row !== undefined));
    const critical = this.#critical.toSorted((a, b) =>
      `${a.target}/${a.id}` < `${b.target}/${b.id}` ? -1 : 1,
    );
    const gates = this.#fatal
      ? []
      : evaluateGates({
          gates: suite.gates.length > 0 ? suite.gates : [DEFAULT_GATE],
          targets: this.#pairs.map(toMeasured),
          repeats: suite.repeats,
          seed,
          figures: figureMetrics(suite),
        });
    const judged = this.#fatal
      ? {
          verdict: "Error" as const,
          passed: false,
          reason: this.#fatal.code,
          message: this.#errorMessage(this.#fatal),
        }
      : judge(gates, critical);
    return {
      version: 1,
      suite: { name: suite.name, revision: suite.revision },
      ...judged,
      targets: this.#pairs.map(toTarget),
      gates,
      critical,
      cases: rows,
      worst: worstCases(rows),
      changes: countChanges(rows),
      calls: { made: answers.made, saved: answers.saved, retried: answers.retried },
      spent: {
        ...(answers.unknownCosts === 0 && { total: formatMoney(answers.spent) }),
        unknown: answers.unknownCosts,
      },
      errors: Object.fromEntries(this.#errors),
      seed,
      startedAt: new Date(this.#startedAt).toISOString(),
      durationMs: this.#deps.now() - this.#startedAt,
    };
  }

  #errorMessage(error: SlipwayError): string {
    const text = error.hint ? `${error.message} (${error.hint})` : error.message;
    return `${text}; ${this.#done} of ${this.#total()} answers are there`;
  }
}

/**
 * A model that rejects requests of the base, or every one of the head, has itself changed (retired, a parameter gone,
 * the address wrong): a comparison with that says nothing of the head. Some of the head's requests rejected where the
 * base is answered are the head's doing.
 */
function refusal({ name, rows }: Pair): SlipwayError | undefined {
  const rejected = (side: CaseSide | undefined) => side?.error?.code === "ModelRejected";
  const first = (where: "base" | "head") =>
    rows.find((row) => rejected(row?.[where]))?.[where]?.error?.message;
  const asked = rows.filter((row) => row?.head);
  const side = first("base") !== undefined ? "base" : "head";
  if (side === "head" && (asked.length === 0 || !asked.every((row) => rejected(row?.head)))) return undefined;
  const which = side === "base" ? "requests of the base" : "every request of the head";
  return new SlipwayError("ModelRejected", `the model of ${name} rejects ${which}: ${first(side)}`, {
    hint: "check that the endpoint still serves this model with these parameters",
  });
}
