import { SlipwayError } from "../../errors.ts";
import type { Grade, Grader, GraderInput } from "./types.ts";
import { binary, invalidAssertion } from "./values.ts";

/** Time to the whole answer, in ms; of a saved answer, the time that was measured when it was made. */
export const latency: Grader = (input) => limit(input, input.context.latencyMs, "ms");

/** US dollars of the answer, the judge not counted. */
export const cost: Grader = (input) => limit(input, input.context.cost, "USD");

/** Without a threshold the figure itself is the score of the named metric, as in promptfoo. */
function limit({ type, threshold, metric }: GraderInput, figure: number | undefined, unit: string): Grade {
  if (threshold === undefined && metric === undefined)
    throw invalidAssertion(type, "needs a threshold, or a metric to record");
  if (figure === undefined) {
    throw new SlipwayError("UnknownFigure", `the ${type} of an answer is not known`, {
      hint: type === "cost" ? "set pricing on the deployment; the endpoint must report token usage" : "",
    });
  }
  if (threshold === undefined) return { pass: true, score: figure, expectation: `to have a ${type}` };
  return binary(figure <= threshold, `to take at most ${threshold} ${unit}`, `${figure} ${unit}`);
}
