import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Event, type KubeObject } from "../../controller/kube/resources.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { createSecret, listObjects } from "../scenario/cluster.ts";
import { deploymentManifest, yamlOf } from "../scenario/manifests.ts";
import { waitFor } from "../scenario/wait.ts";
import { answer, bundle, prompt } from "./story.ts";
import { type Proposal, readyOf, type Tenant, WEBHOOK_SECRET } from "./tenant.ts";
import { World } from "./world.ts";

const KEY = "canary-model-key-51c0b7e2";
const WRONG_KEY = "canary-wrong-key-90ae43d1";

/** A secret as it may turn up: itself, in base64 at any offset, or escaped for a URL. */
function shapes(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${"x".repeat(offset)}${secret}`).toString("base64");
    // What stands at either end depends on the neighbours.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, encodeURIComponent(secret), ...base64];
}

describe("secrets", () => {
  let world: World;
  let model: ModelEndpointHandle;
  let tenant: Tenant;
  const proposals: Proposal[] = [];

  beforeAll(async () => {
    // A wrong key is sent back in the endpoint's error, as real ones do.
    model = await startModelEndpoint({ answer, apiKey: KEY });
    world = await World.create();
    tenant = await world.tenant({ private: true });
    const host = new URL(model.baseURL).host;
    const { client } = world;
    await createSecret(client, tenant.namespace, "model-key", { apiKey: KEY }, [host]);
    await createSecret(client, tenant.namespace, "wrong-key", { apiKey: WRONG_KEY }, [host]);
    const commit = await tenant.push({
      ...bundle(model.baseURL, { secretRef: { name: "model-key" } }),
      "wrong.yaml": yamlOf(deploymentManifest("wrong", model.baseURL, { secretRef: { name: "wrong-key" } })),
    });
    await tenant.follow();
    await tenant.synced(commit);
    await tenant.ready("EvalSuite", "triage");
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await model?.close();
  });

  test("are used where they are meant to be", async () => {
    await tenant.waitFor("ModelDeployment", "wrong", "to say EndpointUnauthorized", (object) => {
      return readyOf(object)?.reason === "EndpointUnauthorized";
    });
    const better = await tenant.propose("better", { "prompt.yaml": yamlOf(prompt("triage", "careful")) });
    const wrong = await tenant.propose("wrong", {
      "model.yaml": yamlOf(deploymentManifest("model", model.baseURL, { secretRef: { name: "wrong-key" } })),
    });
    const echo = await tenant.propose("echo", {
      "prompt.yaml": yamlOf(prompt("triage", "hasty")),
      "bad.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: PromptTemplate\n",
    });
    proposals.push(better, wrong, echo);
    expect(await tenant.judged(better)).toMatchObject({ status: "success" });
    // Which key a deployment uses is a setting: nothing is asked with it before the merge.
    expect((await tenant.judged(wrong)).description).toContain("only settings change");
    expect(await tenant.judged(echo)).toMatchObject({ status: "failure" });
  });

  test("and git with a wrong password fails without showing it", async () => {
    const host = new URL(world.gitea.url).host;
    await createSecret(world.client, tenant.namespace, "git-wrong", { username: "x", password: WRONG_KEY }, [
      host,
    ]);
    await tenant.follow({ secretRef: { name: "git-wrong" } }, "locked-out");
    await tenant.said("GitUnauthorized", undefined, "locked-out");
  });

  test("appear nowhere else: no object, event, comment, status, log line or metric", async () => {
    const { client, controller } = world;
    const kinds = ["Repository", "PromptTemplate", "ModelDeployment", "EvalSuite", "EvalRun", "ConfigMap"];
    const objects = (
      await Promise.all(kinds.map((kind) => listObjects(client, kind, tenant.namespace)))
    ).flat();
    const listed = () =>
      client.list(Event, { namespace: tenant.namespace }).then(({ items }): KubeObject[] => items);
    const events = await waitFor(
      "events",
      listed,
      (found) =>
        ["EndpointUnauthorized", "PullRequestEvaluated", "GitUnauthorized"].every((reason) =>
          found.some((event) => event.reason === reason),
        ),
      { show: (found) => found.map(({ reason, note }) => `${reason}: ${note}`) },
    );
    const comments = (
      await Promise.all(proposals.map(({ number }) => tenant.repository.comments(number)))
    ).flat();
    const statuses = (await Promise.all(proposals.map(({ sha }) => tenant.repository.statuses(sha)))).flat();
    const log = await controller.log();
    const metrics = await (await fetch(`${controller.url}/metrics`)).text();
    // Each of these would hide a leak if it were empty.
    expect(comments.length).toBeGreaterThan(0);
    expect(statuses.length).toBeGreaterThan(2);
    expect(log.length).toBeGreaterThan(0);
    expect(metrics).toContain("slipway_");

    const places = { objects, events, comments, statuses, log, metrics };
    const secrets = { KEY, WRONG_KEY, WEBHOOK_SECRET, token: world.bot.token, password: world.bot.password };
    for (const [place, content] of Object.entries(places)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      for (const [name, secret] of Object.entries(secrets)) {
        const found = shapes(secret).filter((shape) => text.includes(shape));
        expect(found, `${name} in ${place}`).toEqual([]);
      }
    }
  });
});
