import { describe, expect, it } from "vitest";
import { kindNamed } from "../../schemas/index.ts";
import { structureFaults } from "./list-maps.ts";
import { parseManifests } from "./manifest.ts";

const SUITE = `apiVersion: slipway.dev/v1alpha1
kind: EvalSuite
metadata: {name: s}
spec:
  targets:
    - {name: t, promptRef: {name: p}, modelRef: {name: m}}
`;
const CASES = "  cases: {inline: [{id: a, vars: {q: x}}]}\n";
const told = (text: string) =>
  parseManifests("s.yaml", text).errors.map(({ location: { line, field }, message, object }) => ({
    at: `${line} ${field}`,
    message,
    object,
  }));
const also = (value: string, key: string) =>
  `"${value}" is also the ${key} of entry 0: each must have its own`;

describe("what the API server would refuse is told in git", () => {
  it.each([
    [
      "two targets of one name",
      `${SUITE}    - {name: t, promptRef: {name: q}, modelRef: {name: m}}\n${CASES}`,
      { at: "7 spec.targets[1].name", message: `spec.targets[1].name: ${also("t", "name")}` },
    ],
    [
      "two inline cases of one id",
      `${SUITE}  cases:\n    inline:\n      - {id: a, vars: {q: x}}\n      - {id: b, vars: {q: x}}\n      - {id: a, vars: {q: y}}\n`,
      { at: "11 spec.cases.inline[2].id", message: `spec.cases.inline[2].id: ${also("a", "id")}` },
    ],
    [
      "more variables of a case than the schema allows",
      `${SUITE}  cases:\n    inline:\n      - id: a\n        vars: {${Array.from({ length: 65 }, (_, i) => `v${i}: x`).join(", ")}}\n`,
      {
        at: "10 spec.cases.inline[0].vars",
        message: "spec.cases.inline[0].vars: has 65 entries; the limit is 64",
      },
    ],
  ])("%s", (_what, text, expected) => {
    expect(told(text)).toEqual([{ ...expected, object: "EvalSuite/s" }]);
  });

  it("not what is as many as may be, and differs", () => {
    const vars = Array.from({ length: 64 }, (_, i) => `v${i}: x`).join(", ");
    const cases = `  cases: {inline: [{id: a, vars: {${vars}}}, {id: b, vars: {${vars}}}]}\n`;
    expect(told(SUITE + cases)).toEqual([]);
  });

  it("two variables of a prompt, two gates of a suite", () => {
    const faults = (kind: string, spec: object) => {
      const definition = kindNamed(kind);
      if (!definition) throw new Error(kind);
      return structureFaults(definition, spec).map(({ path }) => path.join("."));
    };
    const twice = [{ name: "a" }, { name: "b" }, { name: "a" }, { name: "b" }];
    expect(faults("PromptTemplate", { variables: twice })).toEqual([
      "spec.variables.2.name",
      "spec.variables.3.name",
    ]);
    expect(faults("EvalSuite", { gates: twice.slice(0, 3) })).toEqual(["spec.gates.2.name"]);
  });
});
