import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type EvalCase, evalCase, evalSuiteSpec } from "../../schemas/eval-suite.ts";
import { modelDeploymentSpec } from "../../schemas/model-deployment.ts";
import { promptTemplateSpec } from "../../schemas/prompt-template.ts";

const here = import.meta.dirname;
const read = (path: string) => readFileSync(join(here, path), "utf8");
const TOPICS = ["money", "software", "password", "delivery"];
const PROMPTS = [
  "prompt.yaml",
  "../support-triage-prs/good/prompt.yaml",
  "../support-triage-prs/bad/prompt.yaml",
];

const cases: EvalCase[] = read("cases/tickets.jsonl")
  .trimEnd()
  .split("\n")
  .map((line) => evalCase.parse(JSON.parse(line)));
const prompt = (path: string) => promptTemplateSpec.parse(parse(read(path)).spec);
const plain = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, " ")
    .trim();
const ticketOf = ({ vars }: EvalCase) => String(vars.ticket);

describe("cases", () => {
  it("are enough to tell prompts apart", () => {
    expect(cases.length).toBeGreaterThanOrEqual(130);
    expect(cases.filter(({ tags }) => tags?.includes("hard")).length).toBeGreaterThanOrEqual(25);
    expect(cases.filter(({ critical }) => critical).length).toBeGreaterThan(0);
  });

  it("have unique ids and tickets", () => {
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
    expect(new Set(cases.map((item) => plain(ticketOf(item)))).size).toBe(cases.length);
  });

  it("have each topic about equally often", () => {
    const counts = TOPICS.map((topic) => cases.filter(({ expected }) => expected === topic).length);
    expect(counts.reduce((sum, count) => sum + count)).toBe(cases.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
  });

  it("do not give their answer away", () => {
    for (const item of cases) expect(plain(ticketOf(item)), item.id).not.toBe(item.expected);
  });
});

describe.each(PROMPTS)("%s", (path) => {
  const spec = prompt(path);
  const answers = spec.messages.filter(({ role }) => role === "assistant").map(({ content }) => content);

  it("asks about the ticket last and shows each topic equally often", () => {
    expect(spec.messages.at(-1)?.content).toContain("{{ticket}}");
    expect(spec.variables.map(({ name }) => name)).toEqual(["ticket"]);
    const counts = TOPICS.map((topic) => answers.filter((answer) => answer === topic).length);
    expect(counts).toEqual(Array(TOPICS.length).fill(answers.length / TOPICS.length));
  });

  it("contains no case's ticket", () => {
    const examples = spec.messages.map(({ content }) => ` ${plain(content)} `);
    for (const item of cases) {
      const ticket = ` ${plain(ticketOf(item))} `;
      expect(
        examples.some((text) => text.includes(ticket)),
        `${item.id} in ${path}`,
      ).toBe(false);
    }
  });

  it("is decided by the likeliest answer alone", () => {
    expect(spec.parameters).toEqual({ temperature: 0, maxTokens: 4, stop: ["\n"] });
  });
});

describe("manifests", () => {
  it("fit together", () => {
    const suite = parse(read("suite.yaml"));
    const model = parse(read("model.yaml"));
    const target = evalSuiteSpec.parse(suite.spec).targets[0];
    expect(modelDeploymentSpec.parse(model.spec).external?.model).toBe("smollm2-135m-instruct");
    expect(target?.modelRef.name).toBe(model.metadata.name);
    expect(PROMPTS.map((path) => parse(read(path)).metadata.name)).toEqual(
      Array(3).fill(target?.promptRef.name),
    );
  });
});
