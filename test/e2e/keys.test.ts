import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { createSecret } from "../scenario/cluster.ts";
import { deploymentManifest, yamlOf } from "../scenario/manifests.ts";
import { type Listener, startListener } from "./listener.ts";
import { answer, bundle, CASES, prompt } from "./story.ts";
import { readyOf, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

const KEY = "sk-canary-7d1f0a9c3b";
const secretRef = { name: "model-key" };
const hostOf = (url: string) => new URL(url).host;

describe("where a key may go", () => {
  let world: World;
  let model: ModelEndpointHandle;
  let thief: Listener;
  let tenant: Tenant;

  beforeAll(async () => {
    model = await startModelEndpoint({ answer, apiKey: KEY });
    thief = await startListener();
    world = await World.create();
    tenant = await world.tenant();
    await createSecret(world.client, tenant.namespace, "model-key", { apiKey: KEY }, [hostOf(model.baseURL)]);
    const commit = await tenant.push(bundle(model.baseURL, { secretRef }));
    await tenant.follow();
    await tenant.synced(commit);
    await tenant.ready("EvalSuite", "triage");
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await Promise.all([model?.close(), thief?.close()]);
  });

  test("the model that is meant gets it", () => {
    expect(model.count).toBe(CASES);
    expect(model.headers.every(({ authorization }) => authorization === `Bearer ${KEY}`)).toBe(true);
  });

  test("a pull request that keeps secretRef and names another host sends nothing there, and says so", async () => {
    const before = model.count;
    await tenant.follow({ pullRequests: { enabled: true, onNotEvaluated: "Fail" } });
    const stolen = deploymentManifest("model", thief.baseURL, { secretRef });
    const proposal = await tenant.propose("steal", { "model.yaml": yamlOf(stolen) });
    const status = await tenant.judged(proposal);
    expect(status).toMatchObject({ status: "failure" });
    expect(status.description).toContain("HostNotAllowed");
    const { body } = await tenant.comment(proposal);
    expect(body).toContain("HostNotAllowed");
    expect(body).toContain(hostOf(thief.baseURL));
    await sleep(1_000);
    expect(thief.requests).toEqual([]);
    expect(model.count).toBe(before);
    await tenant.repository.closePull(proposal.number);
  });

  test("policy may let it pass; the key stays here all the same", async () => {
    await tenant.follow({ pullRequests: { enabled: true, onNotEvaluated: "Pass" } });
    const stolen = deploymentManifest("model", thief.baseURL, { secretRef, timeout: "9s" });
    const proposal = await tenant.propose("steal-again", { "model.yaml": yamlOf(stolen) });
    const status = await tenant.judged(proposal);
    expect(status.description).toContain("was not evaluated (HostNotAllowed)");
    expect((await tenant.comment(proposal)).body).toContain(hostOf(thief.baseURL));
    await sleep(1_000);
    expect(thief.requests).toEqual([]);
    await tenant.repository.closePull(proposal.number);
  });

  test("a host that the Repository allows is still no host that the Secret allows", async () => {
    await tenant.follow({
      pullRequests: { enabled: true, onNotEvaluated: "Fail", allowedHosts: [hostOf(thief.baseURL)] },
    });
    const stolen = deploymentManifest("model", thief.baseURL, { secretRef, timeout: "8s" });
    const proposal = await tenant.propose("steal-with-help", { "model.yaml": yamlOf(stolen) });
    const status = await tenant.judged(proposal);
    expect(status).toMatchObject({ status: "error" });
    expect(status.description).toContain("HostNotAllowed");
    expect((await tenant.comment(proposal)).body).toContain("HostNotAllowed");
    expect(thief.requests).toEqual([]);
    await tenant.repository.closePull(proposal.number);
  });

  test("on main the deployment is not Ready and says why, and nothing is sent", async () => {
    const commit = await tenant.push({
      "stolen.yaml": yamlOf(deploymentManifest("stolen", thief.baseURL, { secretRef })),
      "unbound.yaml": yamlOf(
        deploymentManifest("unbound", thief.baseURL, { secretRef: { name: "unbound" } }),
      ),
      "lost.yaml": yamlOf(deploymentManifest("lost", thief.baseURL, { secretRef: { name: "lost" } })),
      "keyless.yaml": yamlOf(
        deploymentManifest("keyless", model.baseURL, { secretRef: { name: "model-key", key: "other" } }),
      ),
      "other.yaml": yamlOf(prompt("other", "plain")),
    });
    await createSecret(world.client, tenant.namespace, "unbound", { apiKey: KEY });
    await tenant.said("Synced", commit);
    const expected = {
      stolen: "HostNotAllowed",
      unbound: "SecretNotBound",
      lost: "SecretNotFound",
      keyless: "SecretIncomplete",
    };
    for (const [name, reason] of Object.entries(expected)) {
      const object = await tenant.waitFor("ModelDeployment", name, `to say ${reason}`, (found) => {
        return readyOf(found)?.reason === reason;
      });
      expect(readyOf(object)).toMatchObject({ status: "False", reason });
    }
    expect(thief.requests).toEqual([]);
  });
});
