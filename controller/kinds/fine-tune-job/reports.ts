import * as z from "zod";
import type { FineTuneJobStatus } from "../../../schemas/fine-tune-job.ts";
import type { WorkReport } from "../../store/store.ts";

/*
 * What a pod says of its training. It runs rows and a model that others wrote, so nothing of it is believed beyond
 * its shape, and no more of it is kept than a status holds.
 */

/** Points of the loss in the status; a pod reports up to 200. */
export const LOSS_POINTS = 50;
const MAX_TEXT = 2000;

const text = (max: number) => z.string().transform((value) => plainText(value, max));
const count = z.int().min(0);
const finite = z.number();
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const progressReport = z.object({
  phase: text(64).default(""),
  step: count.default(0),
  totalSteps: count.default(0),
  percent: z.int().min(0).max(99).catch(0),
  etaSeconds: count.optional().catch(undefined),
  loss: finite.optional().catch(undefined),
  lossHistory: z
    .array(z.tuple([count, finite]))
    .max(1000)
    .optional()
    .catch(undefined),
  checkpoint: z.object({ step: count, digest }).optional().catch(undefined),
});

const resultReport = z.object({
  artifact: z.object({ digest, type: z.enum(["adapter", "model"]), bytes: count }),
  base: z.object({ source: text(512), resolved: text(4096) }),
  metrics: z
    .object({
      firstLoss: finite.optional().catch(undefined),
      lastLoss: finite.optional().catch(undefined),
      evalLoss: finite.optional().catch(undefined),
      trainRows: count.optional().catch(undefined),
      skippedRows: count.optional().catch(undefined),
      truncatedRows: count.optional().catch(undefined),
    })
    .default({}),
  steps: count.default(0),
  lossHistory: z
    .array(z.tuple([count, finite]))
    .max(1000)
    .default([]),
  candidates: z
    .array(z.object({ step: count, digest, answers: digest, loss: finite.optional().catch(undefined) }))
    .max(20)
    .default([]),
  mlflow: z
    .object({ runId: text(128), model: text(256).optional(), version: text(32).optional() })
    .optional()
    .catch(undefined),
});
export type TrainingResult = z.infer<typeof resultReport>;

type Progress = NonNullable<FineTuneJobStatus["progress"]>;

/** undefined where there is nothing that can be read as progress. */
export function progressOf(report: WorkReport | undefined): Progress | undefined {
  const { data } = progressReport.safeParse(report?.progress);
  // A report of a failure keeps the checkpoint and nothing else.
  if (!data?.phase) return undefined;
  const { lossHistory, ...rest } = data;
  return withoutUndefined({ ...rest, lossHistory: lossHistory && thinned(lossHistory) }) as Progress;
}

/** undefined for an outcome that is none. */
export function resultOf(report: WorkReport | undefined): TrainingResult | undefined {
  return resultReport.safeParse(report?.result).data;
}

/** The last word of a training that is done: 100 %, with the loss it ended with. */
export function finalProgress({ steps, metrics, lossHistory }: TrainingResult): Progress {
  return withoutUndefined({
    phase: "Done",
    step: steps,
    totalSteps: steps,
    percent: 100,
    loss: metrics.lastLoss,
    lossHistory: thinned(lossHistory),
  }) as Progress;
}

/** Without control characters, and cut. */
export function plainText(value: string, max = MAX_TEXT): string {
  return value.replace(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, max);
}

function thinned(points: readonly (readonly [number, number])[]): { step: number; loss: number }[] {
  const stride = Math.ceil(points.length / LOSS_POINTS);
  return points.filter((_, i) => i % stride === 0).map(([step, loss]) => ({ step, loss }));
}

function withoutUndefined(value: Record<string, unknown>): unknown {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}
