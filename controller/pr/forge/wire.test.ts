import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutDescription, toComment, toPermission, toPullRequest, wirePullRequest } from "./wire.ts";

const wire = wirePullRequest.parse({
  number: 7,
  title: "Change",
  user: null,
  state: "closed",
  merged_at: "2026-01-01T00:00:00Z",
  base: { ref: "main", sha: "b" },
  head: { ref: "topic", sha: "h", repo: { full_name: "Team/App" } },
  labels: null,
  html_url: "https://git.example/team/app/pulls/7",
  updated_at: "2026-01-01T00:00:00Z",
});

describe("toPullRequest", () => {
  it("reads what both forges send, with what may be absent", () => {
    expect(toPullRequest(wire, "team/app")).toMatchObject({
      author: "ghost",
      merged: true,
      draft: false,
      labels: [],
      headRepository: "Team/App",
      fork: false,
    });
  });

  it("distrusts a head in another repository, in a deleted one, or said to be foreign", () => {
    const elsewhere = { ...wire, head: { ...wire.head, repo: { full_name: "mallory/app" } } };
    const gone = { ...wire, head: { ...wire.head, repo: null } };
    expect(toPullRequest(elsewhere, "team/app").fork).toBe(true);
    expect(toPullRequest(gone, "team/app")).toMatchObject({ fork: true, headRepository: undefined });
    expect(toPullRequest(wire, "team/app", true).fork).toBe(true);
  });
});

it("a comment without author or text is still one", () => {
  const comment = toComment({ id: 1, created_at: "2026-01-01T00:00:00Z", html_url: "u" });
  expect(comment).toMatchObject({ id: "1", author: "ghost", body: "" });
});

it("grants nothing for a word it does not know", () => {
  expect(["owner", "admin", "write", "read", "none", "maintain", ""].map(toPermission)).toEqual([
    "admin",
    "admin",
    "write",
    "read",
    "none",
    "none",
    "none",
  ]);
});

describe("cutDescription", () => {
  it("leaves what fits and joins lines", () => {
    expect(cutDescription(" 3 of 4\n gates pass ", 140)).toBe("3 of 4 gates pass");
  });

  it("never exceeds the limit nor breaks a character", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.integer({ min: 1, max: 260 }),
        (text, limit) => {
          const cut = cutDescription(text, limit);
          expect(cut.length).toBeLessThanOrEqual(limit);
          expect(cut.isWellFormed() || !text.isWellFormed()).toBe(true);
        },
      ),
    );
  });
});
