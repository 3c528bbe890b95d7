import { describe, expect, test, vi } from "vitest";
import type { Forge, ForgeComment, Permission } from "./forge/forge.ts";
import { isVouched, okToTest, vouchers } from "./ok-to-test.ts";

const HEAD = "c0ffee5e1d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c";
const comment = (body: string, author = "lea"): ForgeComment => ({
  id: "1",
  body,
  author,
  createdAt: "2026-01-05T09:00:00Z",
  url: "",
});

describe("vouchers", () => {
  test.each([
    ["the command", okToTest(HEAD)],
    ["upper case", `/OK-TO-TEST ${HEAD.toUpperCase()}`],
    ["beside other lines", `Looks fine.\r\n${okToTest(HEAD)} \r\nThanks!`],
    ["after one for an older commit", `${okToTest("0".repeat(40))}\n${okToTest(HEAD)}`],
  ])("takes %s", (_, body) => {
    expect(vouchers([comment(body)], HEAD)).toEqual(["lea"]);
  });

  test.each([
    ["another commit", okToTest("0".repeat(40))],
    // Two commits that begin alike are cheap to make.
    ["the commit's beginning", okToTest(HEAD.slice(0, 12))],
    ["the commit and more", `${okToTest(HEAD)}00`],
    ["no commit", "/ok-to-test"],
    ["a quotation", `> ${okToTest(HEAD)}`],
    ["words before it", `please ${okToTest(HEAD)}`],
    ["words after it", `${okToTest(HEAD)} maybe`],
    ["an indented line", `    ${okToTest(HEAD)}`],
  ])("does not take %s", (_, body) => {
    expect(vouchers([comment(body)], HEAD)).toEqual([]);
  });

  test("names each person once", () => {
    expect(
      vouchers([comment(okToTest(HEAD)), comment(okToTest(HEAD)), comment(okToTest(HEAD), "kim")], HEAD),
    ).toEqual(["lea", "kim"]);
  });
});

describe("isVouched", () => {
  const forge = (permissions: Readonly<Record<string, Permission>>, comments: readonly ForgeComment[]) => {
    const permission = vi.fn(async (user: string) => permissions[user] ?? "none");
    return { permission, listComments: async () => [...comments] } as unknown as Forge & {
      permission: typeof permission;
    };
  };
  const signal = new AbortController().signal;

  test.each([
    ["none", false],
    ["read", false],
    ["write", true],
    ["admin", true],
  ] as const)("with %s access is %s", async (permission, expected) => {
    expect(await isVouched(forge({ lea: permission }, [comment(okToTest(HEAD))]), 7, HEAD, signal)).toBe(
      expected,
    );
  });

  test("asks the forge about nobody who did not say it", async () => {
    const asked = forge({}, [comment("nice"), comment(okToTest("0".repeat(40)))]);
    expect(await isVouched(asked, 7, HEAD, signal)).toBe(false);
    expect(asked.permission).not.toHaveBeenCalled();
  });

  test("finds the one with write access among those without", async () => {
    const comments = [comment(okToTest(HEAD), "author"), comment(okToTest(HEAD), "lea")];
    expect(await isVouched(forge({ author: "read", lea: "write" }, comments), 7, HEAD, signal)).toBe(true);
  });
});
