import type { EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import type { ChatRequest } from "../model-endpoint.ts";
import {
  deploymentManifest,
  type Manifest,
  promptManifest,
  suiteManifest,
  yamlOf,
} from "../scenario/manifests.ts";

/** How well a prompt does: the mock model answers by this word in it. */
export type Style = "plain" | "careful" | "hasty";

/** Of ten cases, the first so many are answered wrongly. */
const WRONG_OF_TEN: Readonly<Record<Style, number>> = { plain: 3, careful: 0, hasty: 8 };

const LABELS = ["billing", "technical", "account"] as const;
const labelOf = (index: number) => LABELS[index % LABELS.length] ?? "";

export const ticketCases = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `ticket-${String(index).padStart(2, "0")}`,
    vars: { ticket: `Ticket number ${index}.` },
    expected: labelOf(index),
  }));

const isWrong = (style: Style, index: number) => index % 10 < WRONG_OF_TEN[style];

/** The ids that a style gets wrong and another gets right. */
export const worseIn = (style: Style, than: Style, count: number): string[] =>
  ticketCases(count)
    .filter((_, index) => isWrong(style, index) && !isWrong(than, index))
    .map(({ id }) => id);

/** A model that reads the style and the ticket out of the prompt: the same request gets the same answer. */
export function answer({ messages }: ChatRequest): string {
  const text = messages.at(-1)?.content ?? "";
  const match = /Be (plain|careful|hasty)\b.*Ticket number (\d+)\./.exec(text);
  if (!match) return `cannot read ${JSON.stringify(text)}`;
  const [, style, index] = match as unknown as [string, Style, string];
  return isWrong(style, Number(index)) ? "no idea" : labelOf(Number(index));
}

/** @param salt makes another prompt of the same quality */
export const prompt = (name: string, style: Style, salt = ""): Manifest =>
  promptManifest(name, `Be ${style}. ${salt}Sort this for ${name}: {{ticket}}`);

export const suite = (
  name: string,
  cases: number,
  more: { readonly [Field in keyof EvalSuiteSpec]?: unknown } & { prompt?: string; model?: string } = {},
): Manifest => suiteManifest(name, { prompt: name, model: "model", ...more, cases: ticketCases(cases) });

/** A prompt, a deployment and a suite with 20 cases, a file each. */
export const bundle = (baseURL: string, external: object = {}) => ({
  "prompt.yaml": yamlOf(prompt("triage", "plain")),
  "model.yaml": yamlOf(deploymentManifest("model", baseURL, external)),
  "suite.yaml": yamlOf(suite("triage", CASES)),
});

export const CASES = 20;
