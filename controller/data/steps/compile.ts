import type { DatasetStep } from "../../../schemas/dataset-steps.ts";
import { textOf, textsOf } from "../row.ts";
import { countWords } from "../words.ts";
import { decontaminateStep } from "./decontaminate.ts";
import { mapStep } from "./map.ts";
import { qualityStep } from "./quality.ts";
import { languageStep, lengthStep, normalizeStep, piiStep } from "./texts.ts";
import type { RecordStep, RowStep } from "./types.ts";

/** Texts of the cases of each EvalSuite that a step names. */
export type Cases = ReadonlyMap<string, readonly string[]>;

/** Steps that look at one row at a time. */
export type RowStepType = Exclude<DatasetStep["type"], GlobalType | "map">;
/** Steps that look at all rows together. */
export type GlobalType = "exactDedup" | "nearDedup" | "sample" | "aggregate";

const GLOBAL = new Set<string>(["exactDedup", "nearDedup", "sample", "aggregate"] satisfies GlobalType[]);
export const isGlobal = ({ type }: DatasetStep): boolean => GLOBAL.has(type);

/**
 * A step as a function of one row: it depends on the row alone.
 * @throws SlipwayError InvalidFilter
 */
export async function rowStep(step: DatasetStep, cases: Cases): Promise<RowStep> {
  switch (step.type as RowStepType) {
    case "filter": {
      const keep = await compiled(step);
      return (row, source) => {
        const text = textOf(row);
        const kept = keep({ row, text, words: countWords(text), source });
        return kept === true ? row : kept === false ? "filtered" : kept;
      };
    }
    case "quality":
      return qualityStep(step.quality);
    case "normalize":
      return normalizeStep;
    case "length":
      return lengthStep(step.length!);
    case "language":
      return languageStep(step.language!);
    case "pii":
      return piiStep(step);
    case "decontaminate":
      return decontaminateStep(step.decontaminate!, cases);
  }
}

/**
 * A step over the columns of a source, before they are a row of the format.
 * @throws SlipwayError InvalidFilter, or of the template
 */
export async function recordStep(step: DatasetStep): Promise<RecordStep> {
  if (step.type === "map") return mapStep(step.map!);
  const keep = await compiled(step);
  return (record, source) => {
    const text = textsOfRecord(record);
    const kept = keep({ row: record, text, words: countWords(text), source });
    return kept === true ? record : kept === false ? "filtered" : kept;
  };
}

/** CEL is loaded by those who ask for it. */
async function compiled({ filter }: DatasetStep) {
  const { compileFilter } = await import("./filter.ts");
  return compileFilter(filter!.keep);
}

function textsOfRecord(record: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(record.messages) && record.messages.every((each) => typeof each?.content === "string"))
    return textsOf(record as never).join("\n");
  return Object.values(record)
    .filter((value) => typeof value === "string")
    .join("\n");
}
