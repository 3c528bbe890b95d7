import type { ChatRequest } from "../model-endpoint.ts";
import type { Manifest } from "../scenario/manifests.ts";
import { deploymentManifest, promptManifest, suiteManifest } from "../scenario/manifests.ts";

/** Most calls in flight of the suite: the bound on what a kill may cost. */
export const CONCURRENCY = 4;

const LABELS = ["billing", "technical", "account"] as const;
const CASES = Array.from({ length: 12 }, (_, index) => ({
  id: `case-${index}`,
  vars: { ticket: `Ticket number ${index}.` },
  expected: LABELS[index % LABELS.length] ?? "",
}));

export type Version = 1 | 2 | 3;

export const prompt = (version: Version): Manifest =>
  promptManifest("triage", `Sort this ticket (version ${version}): {{ticket}}`);

export const deployment = (baseURL: string): Manifest =>
  deploymentManifest("model", baseURL, { maxConcurrency: CONCURRENCY });

export const suite = (model = "model"): Manifest =>
  suiteManifest("triage", {
    prompt: "triage",
    model,
    cases: CASES,
    gates: [{ name: "quality", margin: 0.5 }],
    budget: { concurrency: CONCURRENCY },
  });

/** How many of the cases each version of the prompt gets wrong. */
const WRONG: Readonly<Record<string, number>> = { 1: 4, 2: 3, 3: 0 };

/** A model that reads the version and the ticket, so that scores tell the versions apart. */
export function answer({ messages }: ChatRequest): string {
  const text = messages.at(-1)?.content ?? "";
  const match = /version (\d)\): Ticket number (\d+)\./.exec(text);
  if (!match) return `cannot read ${JSON.stringify(text)}`;
  const [version = "", index] = match.slice(1);
  return Number(index) < (WRONG[version] ?? 0) ? "no idea" : (CASES[Number(index)]?.expected ?? "");
}
