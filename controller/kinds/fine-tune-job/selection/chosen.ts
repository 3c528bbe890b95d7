import { SlipwayError } from "../../../errors.ts";
import type { BlobStore } from "../../../store/store.ts";
import type { Checkpoint, Choice } from "../effect-inputs.ts";
import { gradeAnswers, type Marks } from "./grade.ts";

/**
 * Grades every candidate's answers anew: what a pod says of them is not believed, nor that it took the best.
 * @param artifact what it published
 * @returns the candidates with their marks, by step
 * @throws SlipwayError ArtifactInvalid, AnswersInvalid
 */
export async function chosen(
  artifact: string,
  { suite, candidates }: Choice,
  blobs: Pick<BlobStore, "has" | "open" | "get">,
): Promise<Checkpoint[]> {
  const checkpoints: Checkpoint[] = [];
  for (const { step, digest, answers, loss } of candidates) {
    const marks = await gradeAnswers(suite, answers, blobs);
    checkpoints.push({ step, digest, ...marks, ...(loss === undefined ? {} : { loss }) });
  }
  checkpoints.sort((a, b) => a.step - b.step);
  const best = checkpoints.reduce<Checkpoint | undefined>(
    (one, other) => (one === undefined || isBetter(other, one) ? other : one),
    undefined,
  );
  if (best?.digest === artifact) return checkpoints;
  throw new SlipwayError(
    "ArtifactInvalid",
    best
      ? `the trainer published ${artifact}, and by its answers the checkpoint of step ${best.step} (${best.digest}) is better`
      : `the trainer published ${artifact}, and let no checkpoint answer the suite`,
  );
}

/** More cases passed, else the higher mean score; of equals the one that was trained less stays. */
const isBetter = (a: Marks, b: Marks) =>
  a.passRate === b.passRate ? a.score > b.score : a.passRate > b.passRate;
