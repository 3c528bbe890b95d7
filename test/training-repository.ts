import type { Files } from "./pull-request.ts";
import { REPOSITORY, tickets } from "./support-repository.ts";

/** The support repository with a Dataset of tickets and the teams that they went to. */

export interface DatasetOptions {
  readonly name?: string;
  readonly file?: string;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export function dataset(options: DatasetOptions = {}): string {
  const { name = "tickets", file = "tickets.jsonl", spec } = options;
  return JSON.stringify({
    apiVersion: "slipway.dev/v1alpha1",
    kind: "Dataset",
    metadata: { name },
    spec: {
      format: "completion",
      sources: [{ name: "archive", files: [{ path: file }] }],
      steps: [{ name: "dedup", type: "exactDedup" }],
      ...spec,
    },
  });
}

export interface TrainingRow {
  readonly prompt: string;
  readonly completion: string;
}

const SUBJECTS = [
  "the invoice of March",
  "my second order",
  "the mobile app",
  "our team's account",
  "the newsletter",
];
const PROBLEMS = ["is wrong again", "has not arrived", "cannot be opened", "was cancelled by somebody"];
const TEAMS = ["billing", "delivery", "product", "access"];

/** So many different rows, none of which is a case of the suite. */
export function trainingRows(count: number, from = 0): TrainingRow[] {
  return Array.from({ length: count }, (_, i) => {
    const index = from + i;
    const subject = SUBJECTS[index % SUBJECTS.length]!;
    const problem = PROBLEMS[Math.floor(index / SUBJECTS.length) % PROBLEMS.length]!;
    return { prompt: `Case ${index}: ${subject} ${problem}.`, completion: TEAMS[index % TEAMS.length]! };
  });
}

export const rowLines = (rows: readonly unknown[]): string =>
  rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join("");

export const TRAINING: Files = {
  ...REPOSITORY,
  "dataset.yaml": dataset(),
  "tickets.jsonl": rowLines(trainingRows(60)),
};

/** Rows as a careless export brings them: doubles, somebody's address and card, and cases of the suite. */
export const careless: readonly TrainingRow[] = [
  ...trainingRows(60).slice(5),
  { ...trainingRows(1)[0]!, completion: "product" },
  ...trainingRows(20, 60),
  ...trainingRows(5, 60),
  { prompt: "Write to mia.lang@example.com about the invoice.", completion: "billing" },
  { prompt: "My card 4111 1111 1111 1111 was refused, mia.lang@example.com.", completion: "billing" },
  ...tickets(3).map(({ vars, expected }) => ({ prompt: vars.ticket, completion: expected })),
];

/** A FineTuneJob that learns the Dataset. */
export const training = (name: string, hyperparameters: object = {}, more: object = {}): string =>
  JSON.stringify({
    apiVersion: "slipway.dev/v1alpha1",
    kind: "FineTuneJob",
    metadata: { name },
    spec: {
      baseModel: { source: "hf://org/small@0123456789abcdef0123456789abcdef01234567" },
      datasetRef: { name: "tickets" },
      adapter: {},
      hyperparameters,
      ...more,
    },
  });
