import type { EvalSuite } from "../../../../schemas/eval-suite.ts";
import type { FineTuneJob } from "../../../../schemas/fine-tune-job.ts";
import type { PromptTemplate } from "../../../../schemas/prompt-template.ts";
import { digestOf, type Json } from "../../../graph/canonical.ts";
import { revisionOf } from "../../../graph/graph.ts";
import type { EffectRequest } from "../../../runtime/kind.ts";
import type { Missing, Training } from "../training.ts";

/** What spec.selection names, as far as it is there. */
export interface Selectors {
  readonly suite: EvalSuite | undefined;
  readonly prompt: PromptTemplate | undefined;
}

/** Input of the effect that lays a suite out for a training. */
export interface LayOutInput {
  readonly suite: { readonly name: string; readonly spec: EvalSuite["spec"]; readonly revision: string };
  readonly prompt: PromptTemplate["spec"];
}

/** What a training keeps of it, and its pod is told. */
export type LaidOut = NonNullable<Training["selection"]>;

/** The revisions of what spec.selection names, or what it waits for; nothing where there is no selection. */
export function selectorRevisions(
  { spec }: FineTuneJob,
  { suite, prompt }: Selectors,
): Readonly<Record<string, string>> | { readonly missing: Missing } {
  if (!spec.selection) return {};
  const { suiteRef, promptRef } = spec.selection;
  const missing = (reason: string, message: string) => ({ missing: { reason, message } });
  if (!suite) return missing("EvalSuiteNotFound", `there is no EvalSuite ${suiteRef.name}`);
  if (!prompt) return missing("PromptTemplateNotFound", `there is no PromptTemplate ${promptRef.name}`);
  const revision = suiteRevision(suite);
  if (!revision)
    return missing(
      "Unresolved",
      `a case file of EvalSuite ${suiteRef.name} has no digest: only a Repository sets it`,
    );
  return { EvalSuite: revision, PromptTemplate: revisionOf(prompt as never, () => undefined) ?? "" };
}

/** A suite with a judge is refused when it is laid out, so its judge's revision is of no account. */
const suiteRevision = (suite: EvalSuite) => revisionOf(suite as never, () => "refused");

/** undefined without spec.selection, and while something of it is missing. */
export function layOutRequest(
  { spec }: FineTuneJob,
  { suite, prompt }: Selectors,
): EffectRequest | undefined {
  const revision = suite && suiteRevision(suite);
  if (!spec.selection || !suite || !prompt || !revision) return undefined;
  const value: LayOutInput = {
    suite: { name: suite.metadata.name, spec: suite.spec, revision },
    prompt: prompt.spec,
  };
  const input = JSON.parse(JSON.stringify(value)) as Json;
  return { name: "layOut", inputDigest: digestOf(input), input, attempt: 1, durable: false };
}
