import type { EvalCase } from "../../schemas/eval-suite.ts";
import { SlipwayError } from "../errors.ts";
import { compileSchema, type SchemaCheck } from "../json-schema/json-schema.ts";
import type { Answered, Answers } from "./answers.ts";
import type { BundledTarget, SuiteBundle } from "./bundle.ts";
import { costOf, toNumber } from "./cost.ts";
import { grade } from "./graders/index.ts";
import type { Observation } from "./measure.ts";
import { ModelError } from "./model/index.ts";
import { factsOf } from "./model-facts.ts";
import { assertionsOf, isFigure } from "./suite.ts";
import { type CompiledPrompt, compilePrompt, renderPrompt } from "./template/index.ts";

/** A target of one side, ready for many cases. A prompt that cannot be used fails every case, by its side's own doing. */
export interface PreparedTarget {
  readonly target: BundledTarget;
  readonly prompt: CompiledPrompt | SlipwayError;
  readonly schema: SchemaCheck | undefined;
}

export function prepare(target: BundledTarget): PreparedTarget {
  const { spec } = target.prompt;
  try {
    const schema = spec.outputSchema === undefined ? undefined : compileSchema(spec.outputSchema);
    return { target, prompt: compilePrompt(spec), schema };
  } catch (error) {
    if (error instanceof SlipwayError) return { target, prompt: error, schema: undefined };
    throw error;
  }
}

/**
 * Asks and grades one repeat of one case on one side. What the side causes (a template error, a request that the model
 * rejects, an answer that breaks the prompt's own schema) is a failing observation.
 * @throws SlipwayError for what nobody can be blamed for: infrastructure, judge, budget, a mistake in the suite
 */
export async function observe(
  suite: SuiteBundle,
  row: EvalCase,
  { target, prompt, schema }: PreparedTarget,
  repeat: number,
  answers: Answers,
): Promise<Observation> {
  const { model } = target;
  let answered: Answered;
  try {
    if (prompt instanceof SlipwayError) throw prompt;
    const { parameters, outputSchema } = target.prompt.spec;
    const messages = renderPrompt(prompt, row.vars);
    answered = await answers.answer(model, { messages, parameters, outputSchema }, repeat);
  } catch (error) {
    if (!(error instanceof SlipwayError) || !causedBySide(error)) throw error;
    // 404: no such model or path. No prompt can cause that.
    if (error instanceof ModelError && error.status === 404) throw error;
    return failing(suite, row, error.code, error.message, { cost: 0n });
  }
  const { answer, saved } = answered;
  const cost = costOf(answer.usage, factsOf(model)?.pricing);
  const facts = { output: answer.text, latencyMs: answer.latencyMs, usage: answer.usage, cost, saved };
  const problem = schema && schemaBreach(schema, answer.text);
  if (problem !== undefined) return failing(suite, row, "OutputSchemaMismatch", problem, facts);
  const { judge } = suite;
  const graded = await grade(assertionsOf(suite, row), answer.text, {
    vars: row.vars,
    ...(row.expected !== undefined && { expected: row.expected }),
    latencyMs: answer.latencyMs,
    ...(cost !== undefined && { cost: toNumber(cost) }),
    ...(judge && { judge: (rubric: string, output: string) => answers.judge(judge, rubric, output) }),
  });
  const { pass, score, metrics } = graded;
  return {
    ...facts,
    pass,
    score,
    metrics,
    failed: graded.results.filter(({ reason, pass: held }) => reason && !held),
  };
}

/** The errors for which the prompt or the deployment is to blame, not what lies between. */
const BLAMED = new Set([
  "ModelRejected",
  "MissingVariable",
  "VariableType",
  "TemplateUnclosed",
  "TemplateEmpty",
  "TemplateUnsupported",
  "TemplateBadName",
  "InvalidSchema",
]);

function causedBySide(error: SlipwayError): boolean {
  return BLAMED.has(error.code);
}

function failing(
  suite: SuiteBundle,
  row: EvalCase,
  code: string,
  message: string,
  facts: Pick<Observation, "output" | "latencyMs" | "usage" | "cost" | "saved">,
): Observation {
  // Every metric that this case counts into gets nothing; a time or a price that was not measured stays unknown.
  const metrics = assertionsOf(suite, row).flatMap((assertion) =>
    assertion.metric === undefined || isFigure(assertion) ? [] : [[assertion.metric, 0] as const],
  );
  return {
    ...facts,
    pass: false,
    score: 0,
    metrics: Object.fromEntries(metrics),
    error: { code, message: message.slice(0, 500) },
    failed: [],
  };
}

function schemaBreach(schema: SchemaCheck, text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "the answer is not JSON, which outputSchema asks for";
  }
  return schema(value);
}
