import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliveryLog } from "../../../controller/pr/forge/delivery-log.ts";
import {
  handleWebhook,
  type WebhookAnswer,
  type WebhookSecret,
} from "../../../controller/pr/forge/webhook.ts";
import { describeForge } from "../../forge-suite.ts";
import { GiteaWorld } from "./gitea-world.ts";

describeForge("Gitea", async () => {
  const world = await GiteaWorld.create();
  return {
    forge: world.forge(world.token(world.bot)),
    outsider: world.forge(world.token(world.outsider)),
    badToken: world.forge("not-a-token"),
    ownLogin: world.bot,
    outsiderLogin: world.outsider,
    descriptionLimit: 255,
    push: (where, branch) => world.push(where, branch),
    close: async () => {},
  };
});

describe("Gitea alone", { timeout: 60_000 }, () => {
  let world: GiteaWorld;
  const signal = AbortSignal.timeout(120_000);

  beforeAll(async () => {
    world = await GiteaWorld.create();
  }, 60_000);

  it("counts a pull request pushed to refs/for as a fork's: its author cannot write", async () => {
    await world.pushForReview(world.outsider, "agit-topic");
    const forge = world.forge(world.token(world.bot));
    const [pull] = await forge.listOpenPullRequests(signal);
    expect(pull).toMatchObject({ author: world.outsider, headRepository: world.repository, fork: true });
    expect((await forge.getPullRequest(pull!.number, signal)).fork).toBe(true);
    expect(await forge.permission(world.outsider, signal)).toBe("read");
  });

  it("says that permissions need an administrator's token", async () => {
    const forge = world.forge(world.token(world.writer));
    await expect(forge.permission(world.outsider, signal)).rejects.toMatchObject({
      code: "ForgeUnauthorized",
      hint: expect.stringContaining("administrators"),
    });
    expect(await world.forge(world.token(world.bot)).permission(world.writer, signal)).toBe("write");
  });

  it("marks a draft by its title and carries labels", async () => {
    await world.push("base", "draft");
    const token = world.token(world.bot);
    const forge = world.forge(token);
    const request = { title: "WIP: later", body: "", head: "draft", base: "main" };
    const { number } = await forge.createPullRequest(request, signal);
    const label = await world.api("POST", `/repos/${world.repository}/labels`, token, {
      name: "evals",
      color: "#00aabb",
    });
    await world.api("POST", `/repos/${world.repository}/issues/${number}/labels`, token, {
      labels: [label.id],
    });
    expect(await forge.getPullRequest(number, signal)).toMatchObject({ draft: true, labels: ["evals"] });
  });

  it("keeps the head's sha when the fork is deleted", async () => {
    const sha = await world.push("fork", "gone");
    const request = { title: "From a fork", body: "", head: `${world.outsider}:gone`, base: "main" };
    const { number } = await world.forge(world.token(world.outsider)).createPullRequest(request, signal);
    await world.api("DELETE", `/repos/${world.outsider}/app`, world.token(world.outsider));
    expect(await world.forge(world.token(world.bot)).getPullRequest(number, signal)).toMatchObject({
      headSha: sha,
      headRepository: undefined,
      fork: true,
    });
  });
});

describe("Gitea's webhooks", { timeout: 60_000 }, () => {
  let world: GiteaWorld;
  let server: Server;
  let secrets: WebhookSecret[];
  const answers: WebhookAnswer[] = [];
  const signal = AbortSignal.timeout(120_000);

  beforeAll(async () => {
    world = await GiteaWorld.create();
    secrets = [{ owner: "prod/app", repository: world.repository, secret: "right" }];
    const deliveries = new DeliveryLog();
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const answer = handleWebhook(
          { headers: request.headers, body: Buffer.concat(chunks) },
          secrets,
          deliveries,
        );
        answers.push(answer);
        response.writeHead(answer.status).end(answer.message);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }, 60_000);
  afterAll(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  });

  function addHook(secret: string) {
    const { port } = server.address() as AddressInfo;
    const config = { url: `http://127.0.0.1:${port}/`, content_type: "json", secret };
    const events = ["push", "pull_request", "pull_request_sync", "issue_comment", "pull_request_comment"];
    const hook = { type: "gitea", active: true, config, events };
    return world.api("POST", `/repos/${world.repository}/hooks`, world.token(world.bot), hook);
  }

  const accepted = () => answers.filter(({ status }) => status === 202).map(({ event }) => event);
  const waitFor = (event: object) =>
    expect.poll(accepted, { timeout: 20_000 }).toContainEqual(expect.objectContaining(event));

  it("arrive signed, are verified and say what happened", async () => {
    const hook = await addHook("right");
    const repository = world.repository;
    await world.push("base", "topic");
    await waitFor({ forge: "Gitea", event: "push", repository, branch: "topic" });

    const forge = world.forge(world.token(world.bot));
    const request = { title: "Change", body: "", head: "topic", base: "main" };
    const { number } = await forge.createPullRequest(request, signal);
    await waitFor({ event: "pull_request", action: "opened", number, repository });

    const outsider = world.forge(world.token(world.outsider));
    const { id } = await outsider.createComment(number, "/ok-to-test — please", signal);
    const comment = { id, author: world.outsider, body: "/ok-to-test — please" };
    await waitFor({ event: "issue_comment", action: "created", number, comment });

    await world.push("base", "topic");
    await waitFor({ event: "pull_request", action: "synchronized", number });

    expect(answers.every(({ status }) => status === 202 || status === 200)).toBe(true);
    expect(
      answers.filter(({ status }) => status === 202).every(({ owners }) => owners?.[0] === "prod/app"),
    ).toBe(true);
    const ids = accepted().map((event) => event?.deliveryId);
    expect(ids.every((delivery) => delivery !== "")).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    await world.api("DELETE", `/repos/${repository}/hooks/${hook.id}`, world.token(world.bot));
  }, 60_000);

  it("with another secret are refused", async () => {
    const before = accepted().length;
    await addHook("wrong");
    await world.push("base", "refused");
    await expect.poll(() => answers.some(({ status }) => status === 401), { timeout: 20_000 }).toBe(true);
    expect(accepted()).toHaveLength(before);
  }, 60_000);
});
