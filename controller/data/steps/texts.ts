import type { DatasetStep } from "../../../schemas/dataset-steps.ts";
import { findPii, redact } from "../pii.ts";
import { mapTexts, type Row, textOf, textsOf } from "../row.ts";
import { countWords } from "../words.ts";
import type { RowStep } from "./types.ts";

export const normalizeStep: RowStep = (row) => mapTexts(row, normalize);

function normalize(text: string): string {
  return text
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\p{Cc}\p{Cf}](?<![\n\t\u200c\u200d])/gu, "")
    .replace(/[ \t]+$/gm, "")
    .trim();
}

export function lengthStep({
  minWords = 0,
  maxWords = Infinity,
}: NonNullable<DatasetStep["length"]>): RowStep {
  return (row) => {
    const words = countWords(textOf(row));
    return words < minWords || words > maxWords ? `${words} words` : row;
  };
}

/** The detector holds 50 MB: it is loaded by those who ask for it. */
export async function languageStep({
  allow,
  minWords,
}: NonNullable<DatasetStep["language"]>): Promise<RowStep> {
  const { eld } = await import("eld/medium");
  return (row: Row) => {
    const text = textOf(row);
    if (countWords(text) < minWords) return row;
    const found = eld.detect(text).language;
    return found !== "" && !allow.includes(found) ? `language ${found}` : row;
  };
}

export function piiStep({ pii }: DatasetStep): RowStep {
  const { action = "Redact", kinds = undefined } = pii ?? {};
  const wanted = kinds ?? (["email", "phone", "iban", "card", "ip", "key"] as const);
  // A copy, which counts as changed: the step's count is what is reported.
  if (action === "Report")
    return (row) => (textsOf(row).some((text) => findPii(text, wanted).length > 0) ? { ...row } : row);
  if (action === "Redact") return (row) => mapTexts(row, (text) => redact(text, findPii(text, wanted)));
  return (row) => {
    for (const text of textsOf(row)) {
      const [first] = findPii(text, wanted);
      // The kind alone: a report must not carry what it warns of.
      if (first) return `holds ${first.kind}`;
    }
    return row;
  };
}
