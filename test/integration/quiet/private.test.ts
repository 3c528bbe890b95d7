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

// Whoever loses the right to a Secret, or changes it, is obeyed within a minute: that is what these reads are for.
test("a private repository with a webhook and a forge adds one read of each Secret a minute, as the tenant", async () => {
  const started = performance.now();
  await audit.mark();
  const commit = await team.git.commitFiles("main", { "README.md": "# Prompts of the team\n" }, "Say whose");
  // The webhook alone brings it there.
  await waitForObject<Repository>(
    team.client,
    ["Repository", team.namespace, team.name],
    `applied at ${commit}`,
    ({ status }) => status?.lastAppliedRevision === commit,
  );
  await reconcileNow(team, commit);
  await silence(audit);
  const lines = await audit.ofController();
  const minutes = Math.ceil((performance.now() - started) / 60_000);
  const reads = lines.filter((line) => / secrets\//.test(line));
  for (const name of ["git", "forge", "webhook"]) {
    const read = `get secrets/${name} as team`;
    expect(reads.filter((line) => line === read).length).toBeLessThanOrEqual(minutes);
  }
  expect(reads.filter((line) => !/^get secrets\/(git|forge|webhook) as team$/.test(line))).toEqual([]);
  const others = lines.filter((line) => !reads.includes(line));
  expect(new Set(others)).toEqual(new Set([`patch repositories/${team.name}/status`]));
  expect(others.length).toBeLessThanOrEqual(2);
});
