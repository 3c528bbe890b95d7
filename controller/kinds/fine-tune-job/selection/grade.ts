import * as z from "zod";
import { SlipwayError } from "../../../errors.ts";
import type { SuiteBundle } from "../../../eval/bundle.ts";
import { grade } from "../../../eval/graders/index.ts";
import { mean } from "../../../eval/measure.ts";
import { assertionsOf } from "../../../eval/suite.ts";
import type { BlobStore } from "../../../store/store.ts";

/** What a checkpoint's answers are worth. */
export interface Marks {
  /** Share of the cases that pass. */
  readonly passRate: number;
  /** Mean of the cases' scores. */
  readonly score: number;
}

/** Answers are read whole. */
const MAX_ANSWERS_BYTES = 64 << 20;
/** After so many cases others get their turn. */
const BREATH = 200;

const answersFile = z.object({ answers: z.record(z.string(), z.string()) });

type Blobs = Pick<BlobStore, "has" | "open" | "get">;

/**
 * Grades what a checkpoint has answered, with the graders that grade everything else. The same blobs give the same
 * marks, whoever asks.
 * @param suite digest of a bundle that we laid out; @param answers digest of what a pod stored
 * @throws SlipwayError AnswersInvalid
 */
export async function gradeAnswers(suite: string, answers: string, blobs: Blobs): Promise<Marks> {
  const bundle = JSON.parse(new TextDecoder().decode(await blobs.get(suite))) as SuiteBundle;
  const texts = await readAnswers(answers, blobs);
  const passed: number[] = [];
  const scores: number[] = [];
  for (const row of bundle.cases) {
    const output = texts[row.id];
    if (output === undefined) throw invalid(answers, `has no answer to case ${row.id}`);
    const { vars, expected } = row;
    const { pass, score } = await grade(assertionsOf(bundle, row), output, {
      vars,
      ...(expected === undefined ? {} : { expected }),
    });
    passed.push(Number(pass));
    scores.push(score);
    if (passed.length % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { passRate: mean(passed), score: mean(scores) };
}

async function readAnswers(digest: string, blobs: Blobs): Promise<Readonly<Record<string, string>>> {
  const { bytes, stream } = await blobs.open(digest);
  stream.destroy();
  if (bytes > MAX_ANSWERS_BYTES) throw invalid(digest, `has more than ${MAX_ANSWERS_BYTES >> 20} MiB`);
  try {
    return answersFile.parse(JSON.parse(new TextDecoder().decode(await blobs.get(digest)))).answers;
  } catch {
    throw invalid(digest, "is no list of answers");
  }
}

const invalid = (digest: string, why: string) => new SlipwayError("AnswersInvalid", `${digest} ${why}`);
