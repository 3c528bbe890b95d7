import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelServer, startModelServer } from "../../../controller/dev/model/index.ts";
import { cases, type Measurement, measure } from "../../../examples/support-triage-prs/measure.ts";

/** What the example promises: the real model judges its two pull requests, with room to spare. */
let server: ModelServer;
let good: Measurement;
let bad: Measurement;

beforeAll(async () => {
  server = await startModelServer({ report: (line) => console.error(line) });
  const client = new OpenAI({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
  good = await measure(client, server.model, "good");
  bad = await measure(client, server.model, "bad");
}, 900_000);
afterAll(() => server?.stop());

describe("examples/support-triage", () => {
  it("improves by the good pull request and regresses by the bad one", () => {
    expect(good.comparison.outcome).toBe("Improved");
    expect(good.comparison.lower).toBeGreaterThan(0.12);
    expect(bad.comparison.outcome).toBe("Regressed");
    expect(bad.comparison.upper).toBeLessThan(-0.12);
  });

  it("answers main's prompt the same in both comparisons", () => {
    expect(bad.base.size).toBe(cases.length);
    expect([...bad.base].toSorted()).toEqual([...good.base].toSorted());
  });

  it("passes every critical case on main and on the good pull request", () => {
    for (const { id, expected } of cases.filter(({ critical }) => critical)) {
      expect([good.base.get(id), good.head.get(id)], id).toEqual([expected, expected]);
    }
  });
});
