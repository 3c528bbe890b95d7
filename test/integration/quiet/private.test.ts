import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Repository } from "../../../schemas/repository.ts";
import { AuditLog } from "../../scenario/audit.ts";
import { waitForObject } from "../../scenario/cluster.ts";
import { type FollowedRepository, followRepository } from "../../scenario/followed-repository.ts";
import { lonePrompt } from "../../scenario/many-resources.ts";
import { reconcileNow, silence } from "./rest.ts";

let team: FollowedRepository;
let audit: AuditLog;

beforeAll(async () => {
  audit = await AuditLog.atEnd();
  const files = { "README.md": "# Prompts\n", "prompt.yaml": lonePrompt("{{ticket}}") };
  team = await followRepository({ files, interval: "10m", forge: true });
  await silence(audit);
});
afterAll(() => team?.[Symbol.asyncDispose]());

/** A README-only commit that the webhook brings, then an asked-for reconcile. Answers what was asked meanwhile. */
async function syncNothing(text: string): Promise<string[]> {
  await audit.mark();
  const commit = await team.git.commitFiles("main", { "README.md": `${text}\n` }, "Say whose");
  await waitForObject<Repository>(
    team.client,
    ["Repository", team.namespace, team.name],
    `applied at ${commit}`,
    ({ status }) => status?.lastAppliedRevision === commit,
  );
  await reconcileNow(team, commit);
  await silence(audit);
  return audit.ofController();
}

// Whoever loses the right to a Secret, or changes it, is obeyed within a minute: that is what the reads are for
// (docs/adr/006-secrets-are-read-when-used.md). Between them a private repository is as quiet as a public one.
test("a private repository with a webhook and a forge asks for nothing more, but one read of each Secret a minute", async () => {
  const status = `patch repositories/${team.name}/status`;
  const reads = ["git", "forge", "webhook"].map((name) => `get secrets/${name} as team`);

  const warming = performance.now();
  const first = await syncNothing("# Prompts of the team");
  expect(first.filter((line) => line !== status && !reads.includes(line))).toEqual([]);
  const minutes = Math.ceil((performance.now() - warming) / 60_000);
  for (const read of reads) {
    expect(first.filter((line) => line === read).length).toBeLessThanOrEqual(minutes);
  }

  // Waits until what was read before is forgotten, and has it read anew: the minute begins here.
  await setTimeout(61_000);
  const second = performance.now();
  const warm = await syncNothing("# Prompts of one team");
  expect(new Set(warm.filter((line) => line !== status))).toEqual(new Set(reads));
  const quiet = await syncNothing("# Prompts of this team");
  expect((performance.now() - second) / 1_000, "the machine was too slow for this test").toBeLessThan(60);
  expect(quiet.filter((line) => line !== status)).toEqual([]);
  expect(quiet.length).toBeGreaterThan(0);
  expect(quiet.length).toBeLessThanOrEqual(2);
}, 300_000);
