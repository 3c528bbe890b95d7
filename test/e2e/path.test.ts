import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EvalSuite } from "../../schemas/eval-suite.ts";
import type { PromptTemplate } from "../../schemas/prompt-template.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { deploymentManifest, yamlOf } from "../scenario/manifests.ts";
import { waitFor } from "../scenario/wait.ts";
import { answer, prompt, type Style, suite, worseIn } from "./story.ts";
import { CONTEXT, type Proposal, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

const TRIAGE_CASES = 40;
const ROUTING_CASES = 20;

/** A gate in the comment's table. */
const IMPROVED = /🟢\s+improved/;
const REGRESSED = /🔴\s+\*\*regressed\*\*/;

const triage = (style: Style, salt?: string) => yamlOf(prompt("triage", style, salt));
const routing = (style: Style, salt?: string) => yamlOf(prompt("routing", style, salt));
const withComment = (yaml: string) => `# Reviewed by the support team.\n${yaml}`;

/** The whole story on one repository, each test going on where the one before ended. Only webhooks wake the controller. */
describe("from a push to a merge", () => {
  let world: World;
  let model: ModelEndpointHandle;
  let tenant: Tenant;
  let asked = 0;
  const pulls = {} as Record<"one" | "two" | "comment" | "both" | "model", Proposal>;

  /** Calls since this was asked last. */
  const calls = () => {
    const before = asked;
    asked = model.count;
    return asked - before;
  };

  beforeAll(async () => {
    model = await startModelEndpoint({ answer });
    world = await World.create();
    tenant = await world.tenant();
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await model?.close();
  });

  test("a push makes the cluster match, and the suites run on what is there", async () => {
    await tenant.push({ "README.md": "Nothing yet.\n" });
    await tenant.follow();
    await tenant.said("Synced");
    const commit = await tenant.push({
      "triage.yaml": triage("plain"),
      "routing.yaml": routing("plain"),
      "model.yaml": yamlOf(deploymentManifest("model", model.baseURL)),
      "suites.yaml": yamlOf(suite("triage", TRIAGE_CASES), suite("routing", ROUTING_CASES)),
    });
    await tenant.synced(commit);
    const evaluated = await tenant.ready<EvalSuite>("EvalSuite", "triage");
    expect(evaluated.status?.score).toBe("70.0%");
    await tenant.ready("EvalSuite", "routing");
    const map = await tenant.object<{ data: Record<string, string> }>("ConfigMap", "triage");
    expect(JSON.stringify(map?.data)).toContain("Be plain.");
    expect(calls()).toBe(TRIAGE_CASES + ROUTING_CASES);
  });

  test("better passes, worse fails and names the cases, a YAML comment asks no model and says nothing", async () => {
    pulls.comment = await tenant.propose("comment", { "triage.yaml": withComment(triage("plain")) });
    expect(await tenant.judged(pulls.comment)).toMatchObject({ status: "success" });
    expect(calls()).toBe(0);
    expect(await tenant.repository.comments(pulls.comment.number)).toEqual([]);

    pulls.one = await tenant.propose("one", { "triage.yaml": triage("careful") });
    pulls.two = await tenant.propose("two", { "triage.yaml": triage("hasty") });
    expect(await tenant.judged(pulls.one)).toMatchObject({ status: "success" });
    expect(await tenant.judged(pulls.two)).toMatchObject({ status: "failure" });
    expect((await tenant.comment(pulls.one)).body).toMatch(IMPROVED);
    const { body } = await tenant.comment(pulls.two);
    expect(body).toMatch(REGRESSED);
    const named = worseIn("hasty", "plain", TRIAGE_CASES).filter((id) => body.includes(id));
    expect(named.length).toBeGreaterThanOrEqual(10);
    for (const id of worseIn("plain", "careful", TRIAGE_CASES))
      expect(body).not.toContain(`<code>${id}</code>`);
    // The base is saved from the run on main: each head's own answers are all there is to ask.
    expect(calls()).toBe(2 * TRIAGE_CASES);
  });

  test("with the branches' contents swapped the verdicts swap, in the same comments and without a call", async () => {
    const comments = [await tenant.comment(pulls.one), await tenant.comment(pulls.two)];
    pulls.one = await tenant.amend(pulls.one, { "triage.yaml": triage("hasty") });
    pulls.two = await tenant.amend(pulls.two, { "triage.yaml": triage("careful") });
    expect(await tenant.judged(pulls.one)).toMatchObject({ status: "failure" });
    expect(await tenant.judged(pulls.two)).toMatchObject({ status: "success" });
    const now = [await tenant.comment(pulls.one), await tenant.comment(pulls.two)];
    expect(now.map(({ id }) => id)).toEqual(comments.map(({ id }) => id));
    expect(now[0]?.body).toMatch(REGRESSED);
    expect(now[1]?.body).toMatch(IMPROVED);
    expect(calls()).toBe(0);
  });

  test("a push to a pull request asks only what it changed", async () => {
    pulls.both = await tenant.propose("both", {
      "triage.yaml": triage("careful", "Think twice. "),
      "routing.yaml": routing("careful"),
    });
    expect(await tenant.judged(pulls.both)).toMatchObject({ status: "success" });
    expect(calls()).toBe(TRIAGE_CASES + ROUTING_CASES);
    const before = await tenant.comment(pulls.both);

    pulls.both = await tenant.amend(pulls.both, { "routing.yaml": routing("hasty") });
    expect(await tenant.judged(pulls.both)).toMatchObject({ status: "failure" });
    expect(calls()).toBe(ROUTING_CASES);
    const after = await tenant.comment(pulls.both);
    expect(after.id).toBe(before.id);
    expect(after.body).toContain(pulls.both.sha.slice(0, 8));

    pulls.both = await tenant.amend(pulls.both, { "routing.yaml": withComment(routing("hasty")) });
    expect(await tenant.judged(pulls.both)).toMatchObject({ status: "failure" });
    expect(calls()).toBe(0);
  });

  test("after a merge the cluster follows, and open pull requests are judged against the new base", async () => {
    const deployment = deploymentManifest("model", model.baseURL, { model: "other-model" });
    pulls.model = await tenant.propose("model", { "model.yaml": yamlOf(deployment) });
    const first = await tenant.judged(pulls.model);
    expect(calls()).toBe(TRIAGE_CASES + ROUTING_CASES);
    const before = await tenant.object<PromptTemplate>("PromptTemplate", "triage");

    const merged = await tenant.repository.merge(pulls.two.number);
    await tenant.synced(merged);
    const after = await tenant.ready<PromptTemplate>("PromptTemplate", "triage", ({ status }) => {
      return status?.revision !== before?.status?.revision;
    });
    expect(after.spec.messages[0]?.content).toContain("Be careful.");
    await tenant.ready<EvalSuite>("EvalSuite", "triage", ({ status }) => status?.score === "100.0%");

    expect(await tenant.judged(pulls.model, { after: first.id })).toMatchObject({ status: "success" });
    const history = (await tenant.repository.statuses(pulls.model.sha)).filter(
      ({ context, id }) => context === CONTEXT && id > first.id,
    );
    expect(history[0]?.status).toBe("pending");
    expect((await tenant.comment(pulls.model)).body).toContain(merged.slice(0, 8));
    // New is only the merged prompt on the proposed model: the suite on main, and the other suite, are saved.
    expect(calls()).toBe(TRIAGE_CASES);

    const conflicting = await tenant.told(pulls.one, ({ description }) => description.includes("conflicts"));
    expect(conflicting).toMatchObject({ status: "failure" });
    expect((await tenant.comment(pulls.one)).body).toContain("triage.yaml");
  });

  test("what closed pull requests leave is cleaned up", async () => {
    for (const { number } of [pulls.one, pulls.comment, pulls.both, pulls.model])
      await tenant.repository.closePull(number);
    const left = await waitFor(
      "only the runs on main",
      () => tenant.names("EvalRun"),
      (names) => names.every((name) => !name.startsWith("pr")),
    );
    expect(left).toHaveLength(2);
    expect(calls()).toBe(0);
  });
});
