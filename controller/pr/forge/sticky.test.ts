import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlipwayError } from "../../errors.ts";
import type { Forge, ForgeComment } from "./forge.ts";
import { planStickyComment, upsertStickyComment } from "./sticky.ts";

const MARKER = "<!-- slipway:report -->";
const signal = new AbortController().signal;

function comment(id: number, author: string, body: string): ForgeComment {
  return { id: String(id), author, body, createdAt: "2026-01-01T00:00:00Z", url: "u" };
}

describe("planStickyComment", () => {
  const ours = comment(2, "Slipway", `${MARKER}\nold`);

  it("keeps our oldest, updates what differs, removes the rest", () => {
    const forged = comment(1, "mallory", `${MARKER}\nall passed`);
    const later = comment(3, "slipway", `${MARKER}\nnew`);
    const plan = planStickyComment([forged, ours, later], MARKER, `${MARKER}\nnew`, "slipway");
    expect(plan).toEqual({ keep: ours, update: true, remove: [later] });
  });

  it("wants nothing when only line endings and the end differ", () => {
    const same = { ...ours, body: `${MARKER}\r\nold\r\n` };
    expect(planStickyComment([same], MARKER, `${MARKER}\nold`, "slipway").update).toBe(false);
  });

  it("does not take a quotation or a longer marker for ours", () => {
    const others = [
      comment(1, "slipway", `> ${MARKER}\nold`),
      comment(2, "slipway", `text ${MARKER}`),
      comment(3, "slipway", `${MARKER} more\nold`),
      comment(4, "slipway", "<!-- slipway:report -- >\nold"),
    ];
    expect(planStickyComment(others, MARKER, MARKER, "slipway")).toEqual({
      keep: undefined,
      update: false,
      remove: [],
    });
  });

  it("never touches another's comment, whatever there is", () => {
    const author = fc.constantFrom("slipway", "mallory", "SLIPWAY");
    const body = fc.constantFrom(`${MARKER}\na`, `${MARKER}\nb`, MARKER, "a");
    fc.assert(
      fc.property(fc.array(fc.tuple(author, body)), (list) => {
        const comments = list.map(([by, text], index) => comment(index, by, text));
        const plan = planStickyComment(comments, MARKER, `${MARKER}\na`, "slipway");
        const touched = [...(plan.keep ? [plan.keep] : []), ...plan.remove];
        expect(touched.every((one) => one.author !== "mallory" && one.body.startsWith(MARKER))).toBe(true);
        const mine = comments.filter((one) => one.author !== "mallory" && one.body.startsWith(MARKER));
        expect(touched).toEqual(mine);
      }),
    );
  });
});

/** A forge of comments only. */
function fakeForge(
  comments: ForgeComment[],
  login: string | undefined,
  errors: { create?: Error; update?: Error } = {},
) {
  const log: string[] = [];
  let next = 100;
  let known = login;
  const forge: Partial<Forge> = {
    kind: "Gitea",
    repository: "team/app",
    maxCommentLength: 100,
    login: async () => known,
    listComments: async () => [...comments],
    createComment: async (_number, body) => {
      log.push("create");
      if (errors.create) throw errors.create;
      const made = comment(next++, "slipway", body);
      comments.push(made);
      known ??= "slipway";
      return made;
    },
    updateComment: async (_number, id, body) => {
      log.push(`update ${id}`);
      if (errors.update) throw errors.update;
      const index = comments.findIndex((one) => one.id === id);
      comments[index] = { ...comments[index]!, body };
      return comments[index]!;
    },
    deleteComment: async (_number, id) => {
      log.push(`delete ${id}`);
      comments.splice(
        comments.findIndex((one) => one.id === id),
        1,
      );
    },
  };
  return { forge: forge as Forge, log };
}

describe("upsertStickyComment", () => {
  it("writes nothing when nothing differs", async () => {
    const { forge, log } = fakeForge([comment(1, "slipway", `${MARKER}\ntext`)], "slipway");
    expect((await upsertStickyComment(forge, 7, MARKER, "text", signal)).action).toBe("unchanged");
    expect(log).toEqual([]);
  });

  it("finds out who it is by writing, where the forge does not say, and then keeps its oldest", async () => {
    const comments = [comment(1, "mallory", `${MARKER}\nforged`), comment(2, "slipway", `${MARKER}\nold`)];
    const { forge, log } = fakeForge(comments, undefined);
    const result = await upsertStickyComment(forge, 7, MARKER, "new", signal);
    expect(result).toMatchObject({ action: "updated", comment: { id: "2" } });
    expect(log).toEqual(["create", "delete 100", "update 2"]);
    expect(comments.map((one) => one.body)).toEqual([`${MARKER}\nforged`, `${MARKER}\nnew`]);
  });

  it("writes a new one when somebody deletes it meanwhile", async () => {
    const gone = new SlipwayError("ForgeNotFound", "gone");
    const { forge, log } = fakeForge([comment(1, "slipway", `${MARKER}\nold`)], "slipway", { update: gone });
    expect((await upsertStickyComment(forge, 7, MARKER, "new", signal)).action).toBe("created");
    expect(log).toEqual(["update 1", "create"]);
  });

  it("passes on a create that failed", async () => {
    const failed = new SlipwayError("ForgeUnavailable", "down");
    const { forge, log } = fakeForge([], "slipway", { create: failed });
    await expect(upsertStickyComment(forge, 7, MARKER, "new", signal)).rejects.toBe(failed);
    expect(log).toEqual(["create"]);
  });

  it("refuses what the forge would refuse, and a marker that would show", async () => {
    const { forge, log } = fakeForge([], "slipway");
    await expect(upsertStickyComment(forge, 7, MARKER, "x".repeat(100), signal)).rejects.toMatchObject({
      code: "ForgeRejected",
    });
    await expect(upsertStickyComment(forge, 7, "slipway", "x", signal)).rejects.toThrow("marker");
    await expect(upsertStickyComment(forge, 7, "<!-- a --> b -->", "x", signal)).rejects.toThrow("marker");
    expect(log).toEqual([]);
  });
});
