import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { createSecret } from "../scenario/cluster.ts";
import { yamlOf } from "../scenario/manifests.ts";
import { type ForgeProxy, startForgeProxy } from "./forge-proxy.ts";
import { answer, bundle, prompt } from "./story.ts";
import type { Tenant } from "./tenant.ts";
import { World } from "./world.ts";

/** Nothing but a webhook or the controller's own second look helps here: the interval is ten minutes. */
describe("a forge on a bad day", () => {
  let world: World;
  let model: ModelEndpointHandle;
  let forge: ForgeProxy;
  let tenant: Tenant;
  const prompts = (style: "careful" | "hasty", salt: string) => ({
    "prompt.yaml": yamlOf(prompt("triage", style, salt)),
  });

  beforeAll(async () => {
    model = await startModelEndpoint({ answer });
    world = await World.create();
    forge = await startForgeProxy(world.gitea.url);
    tenant = await world.tenant();
    const host = new URL(forge.url).host;
    await createSecret(world.client, tenant.namespace, "proxied", { token: world.bot.token }, [host]);
    const commit = await tenant.push(bundle(model.baseURL));
    await tenant.follow({
      forge: { type: "Gitea", apiURL: `${forge.url}/api/v1`, secretRef: { name: "proxied" } },
    });
    await tenant.synced(commit);
    await tenant.ready("EvalSuite", "triage");
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await Promise.all([model?.close(), forge?.close()]);
  });

  test("whose list of pull requests lags behind git is asked again", async () => {
    const opened = await tenant.propose("lagging", prompts("careful", ""));
    expect(await tenant.judged(opened)).toMatchObject({ status: "success" });
    const lagging = secondsFromFirst(3);
    let stale = 0;
    forge.disturb = ({ method, path }, { body }) => {
      if (method !== "GET" || !/\/pulls\?/.test(path)) return undefined;
      const pulls = JSON.parse(body) as { number: number; head: { sha: string } }[];
      const ahead = pulls.find(({ number, head }) => number === opened.number && head.sha !== opened.sha);
      if (ahead === undefined || !lagging()) return undefined;
      stale++;
      ahead.head.sha = opened.sha;
      return { body: JSON.stringify(pulls) };
    };
    const amended = await tenant.amend(opened, prompts("hasty", ""));
    expect(await tenant.judged(amended)).toMatchObject({ status: "failure" });
    expect(stale).toBeGreaterThan(0);
    forge.disturb = undefined;
    await tenant.repository.closePull(opened.number);
  });

  test("that answers 503 to everything is tried until it answers", async () => {
    const out = secondsFromFirst(4);
    let refused = 0;
    forge.disturb = () => {
      if (!out()) return undefined;
      refused++;
      return { status: 503, body: "{}" };
    };
    const proposal = await tenant.propose("outage", prompts("careful", "Again. "));
    expect(await tenant.judged(proposal)).toMatchObject({ status: "success" });
    await tenant.comment(proposal);
    expect(refused).toBeGreaterThan(0);
    forge.disturb = undefined;
  });
});

/** True for that long from the first time it is asked: a bad spell starts with what it spoils, however slow a push is. */
function secondsFromFirst(seconds: number): () => boolean {
  let first: number | undefined;
  return () => {
    first ??= Date.now();
    return Date.now() - first <= seconds * 1000;
  };
}
