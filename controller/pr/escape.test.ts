import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { code, cut, oneLine, plain } from "./escape.ts";

/** What is left of escaped text once a forge has decoded the entities and dropped our own markup. */
const decoded = (text: string) =>
  text
    .replace(/<\/?(?:code|span)>/g, "")
    .replace(/&#(\d+);/g, (_, number: string) => String.fromCodePoint(Number(number)));

/** What forges look for in the decoded text. */
const REFERENCES = [/@[A-Za-z0-9]/, /#[A-Za-z0-9]/, /\b(?:GH|gh)-\d/, /[A-Z]-\d/, /!\d/, /:\/\//, /www\./i];
const IN_TEXT = [/[0-9a-f]{7}/i, /:[\w+-]+:/];

const hostile = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc
    .array(
      fc.constantFrom(
        "@",
        "#",
        "1",
        "GH-",
        "://",
        "http",
        "www.",
        "a.b",
        "deadbeef",
        "`",
        "```",
        "~~~",
        "|",
        "\n",
        "\r\n",
        "<!--",
        "-->",
        "<img src=x>",
        "&#64;",
        "&commat;",
        "[x](y)",
        "![x](y)",
        "$",
        "$$",
        "\\",
        "\u001b[31m",
        "\u202e",
        "\u200d",
        "\u2028",
        ":tada:",
        "- [ ] ",
        "# ",
        "1. ",
        "===",
        "    ",
        "\ud800",
        "é\u0301\u0301\u0301\u0301\u0301",
        "slipway:report",
        "/ok-to-test ",
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join("")),
);

describe("plain", () => {
  test.each([
    ["a mention", "thanks @team/leads", "thanks @\u200Bteam/leads"],
    ["an issue", "fixes #1, GH-1 and o/r#1", "fixes #\u200B1, GH-\u200B1 and o/r#\u200B1"],
    ["a Gitea pull", "see !12", "see &#33;\u200B12"],
    ["a tracker's key", "PROJ-12", "PROJ-\u200B12"],
    ["a commit", "deadbeefcafe1", "deadbe\u200Befcafe\u200B1"],
    ["an address", "https://evil.example", "https:\u200B//evil.example"],
    ["a bare address", "WWW.evil.example", "WWW\u200B.evil.example"],
    ["mail", "a@b.example", "a@\u200Bb.example"],
    ["an image", "![x](y)", "&#33;&#91;x&#93;(y)"],
    ["HTML", "<img src=x>", "&#60;img src=x&#62;"],
    ["a comment marker", "<!-- slipway:report:a/b -->", "&#60;&#33;-- slipway:\u200Breport:a/b --&#62;"],
    ["an entity", "&#64;all &commat;all", "&#38;#\u200B64;all &#38;commat;all"],
    ["a fence", "```mermaid", "&#96;&#96;&#96;mermaid"],
    ["a table", "a | b", "a &#124; b"],
    ["a formula", "$x$", "<span>&#36;</span>x<span>&#36;</span>"],
    ["an emoji", ":tada:", ":\u200Btada:"],
    ["a list", "- [ ] x", "&#45; &#91; &#93; x"],
    ["a number's list", "1. x", "&#49;. x"],
    ["a heading", "# x", "#\u200B x"],
    ["lines", "a\nb\r\nc\rd\u2028e", "a⏎b⏎c⏎d⏎e"],
    ["escape codes", "\u001b[31mred\u0000", "␛&#91;31mred␀"],
    ["turned text", "a\u202Eb\u2066c", "abc"],
    ["hidden text", "a\u200Bb\u200Dc\uFEFFd\u{E0041}e\u3164f\u00ADg", "abcdefg"],
    ["half a character", "a\ud800b", "a\ufffdb"],
    ["stacked marks", `a${"\u0301".repeat(50)}b`, "a\u0301\u0301\u0301b"],
    ["a command", "x\n/ok-to-test 123", "x⏎/ok-to-test 123"],
  ])("disarms %s", (_, text, shown) => {
    expect(plain(text)).toBe(shown);
  });

  test("says the same to a reader", () => {
    const text = "Café: 3 of 4 (75%) – “yes”, naïve? 日本語 👍";
    expect(plain(text)).toBe(text);
  });

  test("has none of Markdown's, HTML's or formulas' characters but in entities, and one line", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = plain(text, 500)
          .replaceAll("<span>&#36;</span>", "")
          .replace(/&#\d{1,3};/g, "");
        expect(shown).not.toMatch(/[<>&|`*_~[\]\\$]|!\d|[\r\n\u2028\u2029]/);
        expect(plain(text, 500)).not.toMatch(/^[\s\-+=\d#>]*(?:[-+=] |\d+[.)])/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("has nothing that a forge makes a link or a mention of, before and after it decodes entities", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const shown of [plain(text, 500), code(text, 500)]) {
          for (const pattern of REFERENCES) {
            expect(decoded(shown)).not.toMatch(pattern);
            expect(shown.replace(/&#\d+;/g, "&;")).not.toMatch(pattern);
          }
        }
        for (const pattern of IN_TEXT) expect(decoded(plain(text, 500))).not.toMatch(pattern);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is well-formed, visible and of bounded length", () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1, max: 60 }), (text, limit) => {
        const shown = plain(text, limit);
        expect(shown.isWellFormed()).toBe(true);
        expect(shown.replaceAll("\u200B", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u);
        expect([...decoded(shown).replaceAll("\u200B", "")].length).toBeLessThanOrEqual(limit);
        expect(shown.length).toBeLessThanOrEqual(20 * limit);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("code", () => {
  test("leaves commits and times whole to be copied", () => {
    expect(code("deadbeefcafe 12:30:45")).toBe("<code>deadbeefcafe 12:30:45</code>");
  });

  test("cannot be left, and is never empty", () => {
    expect(code("</code>`x`")).toBe("<code>&#60;/code&#62;&#96;x&#96;</code>");
    expect(code("\u200B")).toBe("<code> </code>");
  });
});

describe("cut", () => {
  test.each([
    ["abc", 3, "abc"],
    ["abcd", 3, "ab…"],
    ["👍👍👍", 3, "👍👍👍"],
    ["👍👍👍👍", 3, "👍👍…"],
  ])("%s to %i", (text, limit, expected) => {
    expect(cut(text, limit)).toBe(expected);
  });

  test("takes no time for what nobody sees", () => {
    const start = performance.now();
    expect(oneLine("x".repeat(1_000_000), 100)).toHaveLength(100);
    expect(performance.now() - start).toBeLessThan(1_000);
  });
});
