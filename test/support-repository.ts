import type { Ask } from "../controller/eval/index.ts";
import { ModelError } from "../controller/eval/model/types.ts";
import { sha256 } from "../controller/graph/canonical.ts";
import type { Files } from "./pull-request.ts";

/** A small repository: tickets go to teams. The model reads its skill from the prompt. */

const yaml = (...documents: readonly unknown[]) =>
  documents.map((document) => JSON.stringify(document, null, 2)).join("\n---\n");
const object = (kind: string, name: string, spec: unknown) => ({
  apiVersion: "slipway.dev/v1alpha1",
  kind,
  metadata: { name },
  spec,
});

export interface PromptOptions {
  /** Percent of tickets that are answered right, which `model` reads. */
  readonly skill: number;
  readonly name?: string;
  readonly words?: string;
  readonly description?: string;
  readonly configMap?: string;
}

export function prompt(options: PromptOptions): string {
  const { skill, name = "triage", words = "one word", description, configMap } = options;
  return yaml(
    object("PromptTemplate", name, {
      ...(configMap === undefined ? {} : { output: { configMapName: configMap } }),
      ...(description === undefined ? {} : { description }),
      variables: [{ name: "ticket" }],
      parameters: { temperature: 0 },
      messages: [
        { role: "system", content: `Name the team for a ticket in ${words}. Skill ${skill}.` },
        { role: "user", content: "{{ticket}}" },
      ],
    }),
  );
}

export interface DeploymentOptions {
  readonly name?: string;
  readonly host?: string;
  readonly model?: string;
  readonly priced?: boolean;
  readonly timeout?: string;
}

export function deployment(options: DeploymentOptions = {}): string {
  const {
    name = "small",
    host = "https://models.example.com/v1",
    model = "small-1",
    priced = true,
    timeout,
  } = options;
  return yaml(
    object("ModelDeployment", name, {
      type: "External",
      external: {
        baseURL: host,
        model,
        secretRef: { name: "models", key: "apiKey" },
        ...(timeout === undefined ? {} : { timeout }),
        ...(priced ? { pricing: { inputPerMillionTokens: "0.15", outputPerMillionTokens: "0.60" } } : {}),
      },
    }),
  );
}

export interface SuiteOptions {
  readonly name?: string;
  readonly cases?: number;
  readonly gates?: readonly unknown[];
  readonly targets?: readonly { name: string; prompt: string; model?: string }[];
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** With more cases than a manifest takes, they are in `cases.jsonl`. */
export function suite(options: SuiteOptions = {}): string {
  const { name = "triage", cases = 120, targets = [{ name: "triage", prompt: "triage" }], spec } = options;
  const gates = options.gates ?? [{ name: "right-team", metric: "pass-rate", margin: 0.05 }];
  return yaml(
    object("EvalSuite", name, {
      targets: targets.map((target) => ({
        name: target.name,
        promptRef: { name: target.prompt },
        modelRef: { name: target.model ?? "small" },
      })),
      cases: cases > 200 ? { files: [{ path: "cases.jsonl" }] } : { inline: tickets(cases) },
      assert: [{ type: "equals", value: "{{expected}}" }],
      gates,
      ...spec,
    }),
  );
}

const TEAMS: Readonly<Record<string, readonly string[]>> = {
  billing: [
    "My card was charged twice for the October plan.",
    "Please send an invoice with our VAT number on it.",
    "The discount I was promised is missing from the bill.",
    "When will the refund reach my account?",
    "I want to pay by the year from now on.",
  ],
  access: [
    "The code to log in never arrives.",
    "I forgot my password and the reset link is dead.",
    "Please close the account of our former colleague.",
    "It says my session has expired every two minutes.",
    "How do I turn on the second factor?",
  ],
  delivery: [
    "The parcel was left at a neighbour who does not exist.",
    "My order arrived with a broken lid.",
    "Please change the address before it ships.",
    "Tracking has shown the same depot for a week.",
    "Two of the five items are missing.",
  ],
  product: [
    "The export button does nothing in the new version.",
    "Sound stopped working after the update.",
    "The report shows last month's figures.",
    "Search finds nothing when I type an umlaut.",
    "The app closes itself when I open settings.",
  ],
};
const OPENINGS = [
  "",
  "Hello, ",
  "Urgent: ",
  "Third message about this. ",
  "From my phone: ",
  "As discussed: ",
];

export const REPOSITORY: Files = {
  "prompt.yaml": prompt({ skill: 76 }),
  "model.yaml": deployment(),
  "suite.yaml": suite(),
};

export interface Ticket {
  readonly id: string;
  readonly vars: { readonly ticket: string };
  readonly expected: string;
  readonly critical?: true;
}

export function tickets(count: number): Ticket[] {
  const teams = Object.entries(TEAMS);
  return Array.from({ length: count }, (_, index): Ticket => {
    const [team, texts] = teams[index % teams.length]!;
    const round = Math.floor(index / teams.length);
    const opening = OPENINGS[Math.floor(round / texts.length) % OPENINGS.length]!;
    return {
      id: `t${String(index + 1).padStart(3, "0")}`,
      vars: { ticket: opening + texts[round % texts.length]! },
      expected: team,
      ...(index === 1 ? { critical: true as const } : {}),
    };
  });
}

/**
 * Answers by the prompt's skill. A ticket's difficulty is the same for every prompt, but for a little luck: so base
 * and head agree on most, as real models do. Longer instructions make longer answers of the wrong kind.
 */
export const model: Ask = async (bundled, { messages }) => {
  const [system, user] = [messages[0]!.content, messages[1]!.content];
  const skill = Number(/Skill (\d+)/.exec(system)?.[1]);
  const team =
    Object.entries(TEAMS).find(([, texts]) => texts.some((text) => user.endsWith(text)))?.[0] ?? "?";
  const difficulty = 0.85 * chance(user) + 0.15 * chance(user + system);
  const right = difficulty * 100 < skill;
  const wrong = Object.keys(TEAMS)[Math.floor(chance(`${user}wrong`) * 4)];
  const text = right
    ? team
    : system.includes("sentence")
      ? `This ticket is about ${team}, I think.\nShall I forward it?`
      : wrong === team
        ? "unknown"
        : wrong!;
  return {
    text,
    finishReason: "stop",
    usage: {
      promptTokens: Math.ceil((system.length + user.length) / 4),
      completionTokens: Math.ceil(text.length / 4),
    },
    latencyMs: 180 + 240 * chance(user + bundled.name) + 9 * text.length,
  };
};

/** An endpoint that has had enough. */
export const limited: Ask = async () => {
  throw new ModelError("ModelRateLimited", "HTTP 429: quota of 200 requests a minute is used up", {
    status: 429,
  });
};

/** 0 to 1, the same for the same text. */
const chance = (text: string) => Number.parseInt(sha256(text).slice(0, 8), 16) / 2 ** 32;

export const jsonl = (count: number): string =>
  tickets(count)
    .map((row) => JSON.stringify(row))
    .join("\n");
