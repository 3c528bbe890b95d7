import { type Assertion, budget } from "../../../../schemas/eval-suite.ts";
import { SlipwayError } from "../../../errors.ts";
import type { SuiteBundle } from "../../../eval/bundle.ts";
import { graderOf } from "../../../eval/graders/index.ts";
import { checkSuite } from "../../../eval/suite.ts";
import { compilePrompt, renderPrompt } from "../../../eval/template/index.ts";
import { canonicalJson, type Json } from "../../../graph/canonical.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../../store/store.ts";
import { ofRepositories } from "../../repository-files.ts";
import { readCases } from "../../suite-cases.ts";
import type { LaidOut, LayOutInput } from "./request.ts";

/** What a text alone cannot tell: another model's opinion, and what serving it takes. */
const REFUSED = new Set(["llm-rubric", "latency", "cost"]);

/**
 * Lays a suite out for a training: the questions for the pod, and cases and graders for the controller. Mistakes are
 * found here, before anything is trained.
 */
export function layOut({
  blobs,
  reports,
}: {
  readonly blobs: Pick<BlobStore, "put" | "get">;
  readonly reports: Pick<ReportStore, "hasUploadIn">;
}): EffectHandler {
  return ofRepositories(
    async (input) => (await laidOut(input as unknown as LayOutInput, blobs)) satisfies LaidOut as Json,
    (input) => (input as LayOutInput).suite.spec.cases.files ?? [],
    reports,
  );
}

async function laidOut(
  { suite: { name, spec, revision }, prompt }: LayOutInput,
  blobs: Pick<BlobStore, "put" | "get">,
): Promise<LaidOut> {
  const cases = await readCases(spec.cases, blobs);
  refuse(name, spec.judge !== undefined, [...spec.assert, ...cases.flatMap(({ assert = [] }) => assert)]);
  const suite: SuiteBundle = {
    name,
    revision,
    cases,
    assert: [...spec.assert, ...schemaOf(prompt)],
    gates: [],
    repeats: 1,
    budget: budget.parse({}),
  };
  await checkSuite(suite, []);
  const compiled = compilePrompt(prompt);
  const questions = cases.map(({ id, vars }) => {
    try {
      return canonicalJson({ id, messages: renderPrompt(compiled, vars) });
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      throw new SlipwayError("InvalidCases", `case ${id}: ${error.message}`);
    }
  });
  const { maxTokens, stop } = prompt.parameters ?? {};
  return {
    questions: await blobs.put(`${questions.join("\n")}\n`),
    suite: await blobs.put(canonicalJson(suite)),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(stop === undefined ? {} : { stop }),
  };
}

/** Everywhere else an answer that breaks the prompt's own schema fails, so it does here. */
const schemaOf = ({ outputSchema }: LayOutInput["prompt"]): Assertion[] =>
  outputSchema === undefined ? [] : [{ type: "is-json", value: outputSchema, weight: 1 }];

/** @throws SlipwayError UnsupportedGrader */
function refuse(suite: string, judged: boolean, assertions: readonly Assertion[]): void {
  const refused = assertions.find(({ type }) => REFUSED.has(graderOf(type).name));
  if (!refused && !judged) return;
  const what = refused ? `the grader ${refused.type}` : "a judge";
  throw new SlipwayError(
    "UnsupportedGrader",
    `EvalSuite ${suite} has ${what}, and checkpoints are chosen by their texts alone`,
    { hint: "name a suite for spec.selection without judge, llm-rubric, latency and cost" },
  );
}
