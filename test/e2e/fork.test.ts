import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EvalSuite } from "../../schemas/eval-suite.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { uniqueName } from "../scenario/cluster.ts";
import type { GiteaUser } from "../scenario/gitea.ts";
import type { GiteaRepository } from "../scenario/gitea-repository.ts";
import { yamlOf } from "../scenario/manifests.ts";
import { answer, bundle, CASES, prompt, suite } from "./story.ts";
import type { Proposal, Tenant } from "./tenant.ts";
import { World } from "./world.ts";

/** Time in which something that must not happen would have happened: a pull request is judged within a few seconds. */
const A_WHILE_MS = 3_000;

describe("strangers, and pull requests that judge themselves", () => {
  let world: World;
  let model: ModelEndpointHandle;
  let tenant: Tenant;
  let stranger: GiteaUser;
  let fork: GiteaRepository;
  let proposal: Proposal;

  beforeAll(async () => {
    model = await startModelEndpoint({ answer });
    world = await World.create();
    tenant = await world.tenant();
    const commit = await tenant.push(bundle(model.baseURL));
    await tenant.follow();
    await tenant.synced(commit);
    await tenant.ready("EvalSuite", "triage");
    stranger = await world.gitea.createUser(uniqueName("stranger"));
    fork = await tenant.repository.fork(stranger);
  });
  afterAll(async () => {
    await fork?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
    await model?.close();
  });

  test("a fork gets the plan, and no model is asked", async () => {
    const before = model.count;
    const files = { "prompt.yaml": yamlOf(prompt("triage", "careful")) };
    const sha = await fork.commitFiles("better", files, "Better", { from: "main" });
    const { number } = await tenant.repository
      .as(stranger)
      .openPull(`${stranger.login}:better`, "A better prompt");
    proposal = { number, branch: "better", sha };
    await tenant.told(proposal, ({ description }) => description.includes("a fork"));
    const { body } = await tenant.commented(proposal, `/ok-to-test ${sha}`);
    expect(body).toContain("PromptTemplate/triage");
    await sleep(A_WHILE_MS);
    expect(await tenant.repository.status(sha, "slipway/evals (main)")).toMatchObject({ status: "pending" });
    expect(model.count).toBe(before);
    expect((await tenant.names("EvalRun")).filter((name) => name.startsWith("pr"))).toEqual([]);
  });

  test("neither the author's own word nor one for another commit lets it run", async () => {
    const before = model.count;
    await tenant.repository.as(stranger).comment(proposal.number, `/ok-to-test ${proposal.sha}`);
    await tenant.repository.comment(proposal.number, `/ok-to-test ${"0".repeat(40)}`);
    await tenant.repository.comment(proposal.number, `I would not say \`/ok-to-test ${proposal.sha}\` yet`);
    await sleep(A_WHILE_MS);
    expect(model.count).toBe(before);
    expect(await tenant.repository.status(proposal.sha, "slipway/evals (main)")).toMatchObject({
      status: "pending",
    });
  });

  test("/ok-to-test by the owner lets exactly this commit run, and a push voids it", async () => {
    const before = model.count;
    await tenant.repository.comment(proposal.number, `/ok-to-test ${proposal.sha}`);
    expect(await tenant.judged(proposal)).toMatchObject({ status: "success" });
    expect(model.count - before).toBe(CASES);

    const files = { "prompt.yaml": yamlOf(prompt("triage", "hasty")) };
    const sha = await fork.commitFiles("better", files, "Even better");
    proposal = { ...proposal, sha };
    await tenant.told(proposal, ({ description }) => description.includes("a fork"));
    await sleep(A_WHILE_MS);
    expect(model.count - before).toBe(CASES);
    await tenant.commented(proposal, `/ok-to-test ${sha}`);
  });

  test("a pull request that lowers the bar for itself is judged by the base's suite", async () => {
    const before = model.count;
    const easy = suite("triage", 2, { gates: [{ name: "quality", margin: 1 }], assert: [] });
    const [sly, lax] = [
      await tenant.propose("sly", {
        "prompt.yaml": yamlOf(prompt("triage", "hasty", "Hurry. ")),
        "suite.yaml": yamlOf(easy),
      }),
      await tenant.propose("lax", { "suite.yaml": yamlOf(easy) }),
    ];
    expect(await tenant.judged(sly)).toMatchObject({ status: "failure" });
    const { body } = await tenant.comment(sly);
    expect(body).toContain("EvalSuite/triage");
    expect(body).toMatch(/as they are on <code>main<\/code> judged it/);
    // All of the base's cases were asked, not the two of the pull request.
    expect(model.count - before).toBe(CASES);

    expect(await tenant.judged(lax)).toMatchObject({ status: "success" });
    expect((await tenant.comment(lax)).body).toContain("EvalSuite/triage");
    const applied = await tenant.object<EvalSuite>("EvalSuite", "triage");
    expect(applied?.spec.cases.inline).toHaveLength(CASES);
    expect(model.count - before).toBe(CASES);
  });
});
