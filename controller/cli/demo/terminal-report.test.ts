import { expect, test } from "vitest";
import { terminalReport } from "./terminal-report.ts";

test("markup goes, text stays", () => {
  const body = [
    "<!-- slipway:report:team/repo -->",
    "**Regressed** on <code>main</code>",
    "> [!WARNING]",
    "> 3 &lt; 5 &amp; &#42;star&#42;",
    "<details><summary>More</summary>",
    "one<br>two",
    "</details>",
  ].join("\n");
  expect(terminalReport(body, 80)).toBe("Regressed on main\n> 3 < 5 & *star*\nMore\none · two");
});

test("tables are aligned, without their ruler", () => {
  const body = "| gate | change |\n|---|---:|\n| pass-rate | 1 |\n\nafter";
  expect(terminalReport(body, 80).split("\n")).toEqual(["gate       change", "pass-rate  1", "", "after"]);
});

test("a wide cell is cut to its share of the terminal", () => {
  const [, row = ""] = terminalReport(`| a | b |\n|---|---|\n| ${"x".repeat(200)} | y |`, 60).split("\n");
  expect(row).toMatch(/^x{29}… {2}y$/);
});

test("escaped characters are shown once: what was escaped twice stays text", () => {
  expect(terminalReport("&amp;lt;b&amp;gt;", 80)).toBe("&lt;b&gt;");
});

test("an escape code in the comment does not reach the terminal", () => {
  expect(terminalReport("a\u001b[2Jb &#27;[31m c", 80)).toBe("a[2Jb [31m c");
});
