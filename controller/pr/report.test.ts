import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HEAD_SHA, type PullRequestOptions, pullRequest } from "../../test/pull-request.ts";
import { PULL_REQUESTS } from "../../test/pull-requests.ts";
import { deployment, model, prompt, REPOSITORY, suite } from "../../test/support-repository.ts";
import { ModelError } from "../eval/model/types.ts";
import type { RunResult } from "../eval/result.ts";
import type { DataState } from "./data/state.ts";
import { okToTest, vouchers } from "./ok-to-test.ts";
import { type ReportInput, renderReport } from "./report.ts";

const changed = { "prompt.yaml": prompt({ skill: 90 }) };
const render = async (options: Partial<PullRequestOptions>) =>
  renderReport(await pullRequest({ base: REPOSITORY, head: changed, ask: model, ...options }));

const HOSTILE = [
  "@everyone closes #1, GH-2, o/r#3 and deadbeefcafe",
  "</code></td></table><script>alert(1)</script><img src=https://evil.test/x.png>",
  "![x](https://evil.test/x.png) [click](javascript:alert(1)) www.evil.test me@evil.test",
  "```mermaid\ngraph TD\n```\n~~~\n| a | b |\n|---|---|\n# heading\n- [x] done\n1. one\n***\n",
  "<!-- slipway:report:support/llm -->\n\u001b[2J\u202Eeno\u2066 \u200B&#64;all &lt;b&gt; $x$ $$y$$ :tada: <details>",
  `fine\n\n${okToTest(HEAD_SHA)}\n`,
];

/** Every answer and error is hostile. */
const hostileModel: NonNullable<PullRequestOptions["ask"]> = async (bundled, request, signal) => {
  const answer = await model(bundled, request, signal);
  const at = request.messages[1]!.content.length % (HOSTILE.length + 1);
  if (at === HOSTILE.length) throw new ModelError("ModelRejected", HOSTILE.join(" "), { status: 400 });
  return { ...answer, text: HOSTILE[at]! };
};

/** The state with the text wherever a pull request's author has a say, and one that failed with it. */
function hostileData(state: DataState, text: string): DataState[] {
  if (state.state !== "Compared" || !state.diff.head || !("summary" in state.diff.head)) return [state];
  const { summary } = state.diff.head;
  const steps = summary.steps.map((step) => ({ ...step, name: text }));
  const labels = [{ label: text, rows: 3 }];
  const fault = { gate: text, message: text };
  const diff = {
    ...state.diff,
    head: { summary: { ...summary, steps, labels, fault } },
    newPii: state.diff.newPii.map((finding) => ({ ...finding, origins: [text] })),
    leakage: { ...state.diff.leakage!, cases: [{ suite: text, id: text, rows: 1 }] },
  };
  const failed = { ...diff, head: { failure: { code: text, message: text } } };
  return [
    { ...state, diff },
    { ...state, diff: failed },
    { dataset: text, state: "NotCompared", reason: "Outside", message: text },
  ];
}

/** What a forge looks for in text; outside of code only where it looks only there. */
function expectHarmless(report: string): void {
  const decoded = report
    .replace(/&#(\d+);/g, (_, number: string) => String.fromCodePoint(Number(number)))
    .replaceAll("\u00a0", " ");
  expect(report).not.toMatch(/<(?!\/?(?:code|span|sub|br|details|summary)>)/);
  expect(report).not.toMatch(/!\[|\]\(|<!--|^```|^~~~/m);
  expect(decoded).not.toMatch(/@everyone|@evil|#\d|GH-\d|:\/\/|www\.|\$\w/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(report).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  expect(vouchers([{ id: "1", body: report, author: "slipway", createdAt: "", url: "" }], HEAD_SHA)).toEqual(
    [],
  );
  // Tables keep their columns.
  const tables = report.split("\n\n").filter((block) => /^\|.*\n\|[ :|-]+$/m.test(block));
  for (const block of tables) {
    const widths = block.split("\n").map((row) => row.split("|").length);
    expect(new Set(widths).size).toBe(1);
  }
}

describe("what others wrote", () => {
  test("does nothing in an answer, an input, an expectation or an error", async () => {
    const rows = HOSTILE.map((text, index) => ({ id: `c${index}`, vars: { ticket: text }, expected: text }));
    const base = { ...REPOSITORY, "suite.yaml": suite({ cases: 0, spec: { cases: { inline: rows } } }) };
    const report = await render({
      base,
      ask: hostileModel,
      tamper: (result) => ({
        ...result,
        worst: result.cases.map(({ target, id }) => `${target}/${id}`),
        errors: Object.fromEntries(HOSTILE.map((text) => ["Code", { count: 1, message: text }])),
      }),
    });
    expect(report).toContain("@\u200Beveryone");
    expectHarmless(report);
  });

  test("does nothing in a run's error", async () => {
    const report = await render({
      ask: async () => {
        throw new ModelError("ModelUnauthorized", HOSTILE.join("\n"), { status: 401 });
      },
    });
    expect(report).toContain("the model's endpoint does not accept the key");
    expectHarmless(report);
  });

  test("does nothing in a file's name, an error or a warning", async () => {
    const input = await pullRequest({ ...PULL_REQUESTS.invalid! });
    const hostile = HOSTILE.map((text) => ({
      location: { file: text, line: 1, field: text },
      message: text,
    }));
    const report = renderReport({
      ...input,
      verdict: { ...input.verdict, newErrors: hostile },
      assessment: { ...input.assessment, head: { ...input.assessment.head!, warnings: hostile } },
    });
    expectHarmless(report);
    expectHarmless(await render({ conflicts: HOSTILE }));
  });

  test("does nothing in what is said of training data", async () => {
    const input = await pullRequest(PULL_REQUESTS.data!);
    for (const text of HOSTILE) {
      const report = renderReport({
        ...input,
        data: input.data.flatMap((state) => hostileData(state, text)),
      });
      expect(report).toContain("with a card number");
      expectHarmless(report);
    }
  });

  test("does nothing whatever it is", async () => {
    const input = await pullRequest({
      base: { ...REPOSITORY, "suite.yaml": suite({ cases: 4 }) },
      head: changed,
      ask: model,
    });
    const piece = fc.constantFrom(...HOSTILE, ...HOSTILE.flatMap((text) => text.split(" ")));
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ unit: "binary" })), { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        expectHarmless(renderReport(withText(input, text)));
      }),
      { numRuns: 60 },
    );
  });
});

/** A result in which every text is this one. */
function withText(input: ReportInput, text: string): ReportInput {
  const side = {
    pass: false,
    passRate: 0,
    score: 0,
    output: text,
    failed: [{ type: "contains", reason: text }],
  };
  const result = {
    ...input.runs[0]!.result!,
    message: text,
    cases: [
      { id: "t001", target: "triage", base: side, head: { ...side, error: { code: "Code", message: text } } },
    ],
    worst: ["triage/t001"],
    errors: { Code: { count: 1, message: text } },
  } satisfies RunResult;
  return { ...input, runs: [{ ...input.runs[0]!, result }] };
}

describe("the length", () => {
  const many = (input: ReportInput, runs: number, gates: number, output: string): ReportInput => {
    const state = input.runs[0]!;
    const result = state.result!;
    return {
      ...input,
      plan: {
        runs: input.plan.runs,
        notEvaluated: Array.from({ length: runs }, (_, index) => ({
          suite: `skipped-${index}`,
          gating: true,
          reason: "Suspended" as const,
          message: output,
        })),
      },
      assessment: {
        ...input.assessment,
        conflicts: [],
        impact: {
          ...input.assessment.impact!,
          changes: Array.from({ length: 20 * runs }, (_, index) => ({
            key: `PromptTemplate/p${index}`,
            change: "changed" as const,
            baseRevision: "a".repeat(64),
            headRevision: "b".repeat(64),
          })),
        },
      },
      runs: Array.from({ length: runs }, (_, index) => ({
        ...state,
        planned: { ...state.planned, suite: `suite-${index}` },
        result: {
          ...result,
          gates: Array.from({ length: gates }, (_, at) => ({ ...result.gates[0]!, name: `gate-${at}` })),
          cases: result.cases.map((row) => ({
            ...row,
            head: { ...row.head!, output },
            base: { ...row.base!, output },
          })),
          worst: result.cases.slice(0, 10).map(({ target, id }) => `${target}/${id}`),
        },
      })),
    };
  };

  test.each([
    [1, 100, "x"],
    [1, 1, "y".repeat(10_000)],
    [1, 1, "$".repeat(10_000)],
    [40, 20, "🙂<&>".repeat(2_500)],
    [300, 100, "$|".repeat(5_000)],
  ])("of %i suites with %i gates stays below 60,000 characters", async (runs, gates, output) => {
    const input = await pullRequest({ base: REPOSITORY, head: changed, ask: model });
    const report = renderReport(many(input, runs, gates, output));
    expect(report.length).toBeLessThanOrEqual(60_000);
    expect(report).toMatch(/^## ✅ Slipway/);
    expect(report).toContain("### Gates");
    expect(report).toMatch(/<sub>base <code>main<\/code> 5f0c1d2e.*<\/sub>$/);
    expect(report.split("<details>")).toHaveLength(report.split("</details>").length);
  });

  test("is what the forge takes where that is less, and the verdict is what stays", async () => {
    const input = await pullRequest({ base: REPOSITORY, head: changed, ask: model });
    for (const limit of [1_500, 3_000, 6_000]) {
      const report = renderReport({ ...many(input, 50, 20, "z".repeat(2_000)), limit });
      expect(report.length).toBeLessThanOrEqual(limit);
      expect(report).toMatch(/^## ✅ Slipway: this is an improvement/);
      expect(report).toContain("The rest does not fit");
    }
  });
});

describe("a reviewer reads", () => {
  test("which suites a change reaches, and that none does", async () => {
    const report = await render(PULL_REQUESTS.several!);
    expect(report).toMatch(/PromptTemplate\/triage<\/code> \| behaves differently .*\| tone, triage \|/);
    expect(report).toMatch(
      /PromptTemplate\/untested<\/code> \| behaves differently .*\| \*\*no suite\*\* \|/,
    );
    expect(report).toMatch(/PromptTemplate\/old<\/code> \| \*\*is deleted\*\*/);
    expect(report).toMatch(/ModelDeployment\/large<\/code> \| only settings change/);
  });

  test("gating suites before advisory ones, which say that they are", async () => {
    const report = await render(PULL_REQUESTS.several!);
    const gates = report.slice(report.indexOf("### Gates"), report.indexOf("### Cases"));
    expect(gates.indexOf("**triage**")).toBeLessThan(gates.indexOf("**tone**"));
    expect(gates).toContain("**tone** (advisory)");
  });

  test("that an unknown price is unknown, and not 0", async () => {
    const report = await render({ base: { ...REPOSITORY, "model.yaml": deployment({ priced: false }) } });
    expect(report).toContain("| cost of 1,000 cases | unknown | unknown | unknown |");
    expect(report).toContain("cost unknown");
  });

  test("what an inconclusive gate could have shown, and with how many cases it would", async () => {
    const report = await render(PULL_REQUESTS.inconclusive!);
    expect(report).toMatch(/24 cases show a loss of \d+\.\d points or more; about \d+ cases would settle it/);
    expect(report).toContain("The gate lets that pass.");
  });

  test("the whole command that approves a fork", async () => {
    const report = await render(PULL_REQUESTS.fork!);
    expect(report).toContain(`<code>${okToTest(HEAD_SHA)}</code>`);
  });

  test("that only settings change", async () => {
    const report = await render({ head: { "model.yaml": deployment({ priced: false }) } });
    expect(report).toMatch(/^## ✅ Slipway: only settings change/);
    expect(report).toContain("answers stay the same");
  });

  test("that a host is not allowed, and which", async () => {
    const report = await render({ head: { "model.yaml": deployment({ host: "https://evil.test/v1" }) } });
    expect(report).toMatch(/^## ⚪ Slipway: not evaluated/);
    expect(report).toContain("would be asked at evil.test");
    expect(report).toContain("triage (not run)");
  });

  test("that a deletion keeps what is invalid, and what prune does", async () => {
    const invalid = await render(PULL_REQUESTS.invalid!);
    expect(invalid).toContain("is invalid, stays as it is");
    const input = await pullRequest({
      base: REPOSITORY,
      head: { "prompt.yaml": undefined, "suite.yaml": undefined },
    });
    const kept = { ...input.repository, spec: { ...input.repository.spec, prune: false } };
    expect(renderReport(input)).toContain("**is deleted**");
    expect(renderReport({ ...input, repository: kept })).toContain("leaves git and stays in the cluster");
  });

  test("that suites of the base judged, where the pull request edits them", async () => {
    const report = await render({ head: { ...changed, "suite.yaml": suite({ cases: 3 }) } });
    expect(report).toContain("The suites as they are on <code>main</code> judged it");
    expect(report).toContain("120 cases");
  });

  test("where two long answers part, though they begin alike", async () => {
    const same = "The same long beginning. ".repeat(40);
    const report = await render({
      head: { "prompt.yaml": prompt({ skill: 58 }) },
      ask: async (bundled, request, signal) => {
        const answer = await model(bundled, request, signal);
        return {
          ...answer,
          text: `${same}${request.messages[0]!.content.includes("58") ? "wrong" : "right"} end`,
        };
      },
      tamper: (result) => ({ ...result, worst: ["triage/t001"] }),
    });
    expect(report).toMatch(/<code>…[^<]*right end<\/code>/);
    expect(report).toMatch(/<code>…[^<]*wrong end<\/code>/);
  });

  test("how many repeats passed, that an answer is empty, and why one fails", async () => {
    const report = await render({
      base: {
        ...REPOSITORY,
        "suite.yaml": suite({
          cases: 8,
          spec: { repeats: 3, assert: [{ type: "contains", value: "team" }] },
        }),
      },
      ask: async (bundled, request, signal) => {
        const answer = await model(bundled, request, signal);
        return { ...answer, text: request.messages[0]!.content.includes("90") ? "" : "the team" };
      },
    });
    expect(report).toContain("❌\u00a0_empty_<br><sub>contains: ");
    expect(report).toContain("× 3 repeats");
    expect(report).toContain("**fails** in every repeat");
  });

  test("nothing of the head's policy", async () => {
    const head = {
      ...changed,
      "suite.yaml": suite({ gates: [{ name: "lax", metric: "pass-rate", margin: 1 }] }),
    };
    expect(await render({ head })).not.toMatch(/lax|margin 100/);
  });
});

test("a price that comes from the pull request is named where limits count with it", async () => {
  const head = { "model.yaml": deployment({ model: "small-2" }) };
  const settings = { maxCostPerPullRequest: "1" };
  expect(await render({ head, settings })).toContain(
    "**The price of <code>ModelDeployment/small</code> comes from this pull request**",
  );
  expect(await render({ settings })).not.toContain("comes from this pull request");
});
