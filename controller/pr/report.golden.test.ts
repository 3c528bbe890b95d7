import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { pullRequest } from "../../test/pull-request.ts";
import { PULL_REQUESTS } from "../../test/pull-requests.ts";
import { renderReport } from "./report.ts";

/** `SLIPWAY_UPDATE_GOLDEN=1` writes the files anew; read the difference before committing it. */
const update = process.env.SLIPWAY_UPDATE_GOLDEN === "1";

describe("the report of a pull request that", () => {
  test.each(Object.keys(PULL_REQUESTS))("is %s", async (name) => {
    const file = new URL(`testdata/${name}.md`, import.meta.url);
    const report = `${renderReport(await pullRequest(PULL_REQUESTS[name]!))}\n`;
    if (update) await writeFile(file, report);
    expect(report).toBe(await readFile(file, "utf8"));
  });
});
