import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GitHubForge, type GitHubOptions } from "../../controller/pr/forge/github.ts";
import { upsertStickyComment } from "../../controller/pr/forge/sticky.ts";
import { GitHubServer } from "./github-server.ts";

const REPOSITORY = "team/app";
const signal = AbortSignal.timeout(60_000);
let server: GitHubServer;

beforeEach(async () => {
  server = await GitHubServer.start(REPOSITORY);
  server.tokens.set("ghp_own", "slipway-bot");
  server.state.permissions.set("slipway-bot", "write");
  server.state.permissions.set("slipway[bot]", "write");
});
afterEach(async () => {
  await server.close();
  expect(server.violations).toEqual([]);
});

function connect(options: Partial<GitHubOptions> = {}): Promise<GitHubForge> {
  const credential = { token: "ghp_own" };
  return GitHubForge.create({
    repository: REPOSITORY,
    apiUrl: server.url,
    credential,
    pacing: false,
    second: 1,
    ...options,
  });
}

async function openPull(forge: GitHubForge): Promise<number> {
  server.state.push(REPOSITORY, "topic");
  const request = { title: "Change", body: "", head: "topic", base: "main" };
  return (await forge.createPullRequest(request, signal)).number;
}

const times = (operation: string): number => server.calls.filter((call) => call === operation).length;

describe("an unwell GitHub", () => {
  it("is asked again after 502 and a broken connection", async () => {
    const forge = await connect();
    server.faults.push(
      { operation: "pulls/list", status: 502 },
      { operation: "pulls/list", loseAnswer: true },
    );
    expect(await forge.listOpenPullRequests(signal)).toEqual([]);
    expect(times("pulls/list")).toBe(3);
  });

  it("is given up on after some attempts", async () => {
    const forge = await connect();
    for (let count = 0; count < 10; count++) server.faults.push({ operation: "pulls/list", status: 503 });
    await expect(forge.listOpenPullRequests(signal)).rejects.toMatchObject({
      code: "ForgeUnavailable",
      retryable: true,
    });
    expect(times("pulls/list")).toBe(4);
  });

  it("never gets a create twice", async () => {
    const forge = await connect();
    const number = await openPull(forge);
    server.faults.push({ operation: "issues/create-comment", loseAnswer: true });
    await expect(forge.createComment(number, "once", signal)).rejects.toMatchObject({
      code: "ForgeUnavailable",
    });
    server.faults.push({ operation: "issues/create-comment", status: 500 });
    await expect(forge.createComment(number, "never", signal)).rejects.toMatchObject({
      code: "ForgeUnavailable",
    });
    expect(times("issues/create-comment")).toBe(2);
    expect((await forge.listComments(number, signal)).map((comment) => comment.body)).toEqual(["once"]);
  });

  it("adopts the comment whose answer was lost", async () => {
    const forge = await connect();
    const number = await openPull(forge);
    server.faults.push({ operation: "issues/create-comment", loseAnswer: true });
    const result = await upsertStickyComment(forge, number, "<!-- slipway:report -->", "text", signal);
    expect(result.action).toBe("created");
    expect(times("issues/create-comment")).toBe(1);
    expect(server.state.comments).toHaveLength(1);
  });

  it("finds a merge whose answer was lost done", async () => {
    const forge = await connect();
    const number = await openPull(forge);
    const { headSha } = await forge.getPullRequest(number, signal);
    server.faults.push({ operation: "pulls/merge", loseAnswer: true });
    await forge.mergePullRequest(number, { method: "squash", sha: headSha }, signal);
    expect(times("pulls/merge")).toBe(1);
  });

  it("times out one attempt and asks again", async () => {
    const forge = await connect({ timeout: 1500 });
    server.faults.push({ operation: "pulls/list", hang: true });
    expect(await forge.listOpenPullRequests(signal)).toEqual([]);
    expect(times("pulls/list")).toBe(2);
  });

  it("is left at once when the caller stops, also between attempts", async () => {
    const forge = await connect({ second: 60_000 });
    for (let count = 0; count < 4; count++) server.faults.push({ operation: "pulls/list", status: 503 });
    const stop = new AbortController();
    const reason = new Error("shutting down");
    setTimeout(() => stop.abort(reason), 200);
    await expect(forge.listOpenPullRequests(stop.signal)).rejects.toBe(reason);
  });
});

describe("GitHub's limits", () => {
  it("waits for a short one with pacing on, also before a create", async () => {
    const forge = await connect({ pacing: true });
    const number = await openPull(forge);
    server.faults.push({
      operation: "issues/create-comment",
      status: 403,
      message: "You have exceeded a secondary rate limit.",
      headers: { "retry-after": "30" },
    });
    expect((await forge.createComment(number, "later", signal)).body).toBe("later");
    expect(times("issues/create-comment")).toBe(2);
  }, 30_000);

  it("hands a long one to the caller", async () => {
    const forge = await connect({ pacing: true });
    const reset = String(Math.floor(Date.now() / 1000) + 1800);
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    server.faults.push({ operation: "pulls/list", status: 403, message: "API rate limit exceeded", headers });
    await expect(forge.listOpenPullRequests(signal)).rejects.toMatchObject({
      code: "ForgeRateLimited",
      retryable: true,
    });
    expect(times("pulls/list")).toBe(1);
  });
});

describe("a GitHub App", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();

  it.each(["pkcs1", "pkcs8"] as const)("acts as its installation (%s key)", async (type) => {
    server.setApp(42, 77, publicPem);
    const pem = privateKey.export({ type, format: "pem" }).toString();
    const forge = await connect({ credential: { appId: 42, privateKey: pem, installationId: 77 } });
    expect(await forge.login(signal)).toBe("slipway[bot]");
    const number = await openPull(forge);
    const { comment } = await upsertStickyComment(forge, number, "<!-- slipway:report -->", "text", signal);
    expect(comment.author).toBe("slipway[bot]");
    expect(times("apps/create-installation-access-token")).toBe(1);
  });

  it("with another key is refused, and the key is not shown", async () => {
    server.setApp(42, 77, publicPem);
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const pem = other.export({ type: "pkcs8", format: "pem" }).toString();
    const forge = await connect({ credential: { appId: 42, privateKey: pem, installationId: 77 } });
    const error = await forge.listOpenPullRequests(signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ForgeUnauthorized" });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("PRIVATE KEY");
  });
});

it("learns who a bare installation token is from what it writes", async () => {
  server.tokens.set("ghs_bare", "slipway[bot]");
  const forge = await connect({ credential: { token: "ghs_bare" } });
  expect(await forge.login(signal)).toBeUndefined();
  const number = await openPull(forge);
  const { headSha } = await forge.getPullRequest(number, signal);
  await forge.setCommitStatus(headSha, { state: "pending", context: "slipway", description: "" }, signal);
  expect(await forge.login(signal)).toBe("slipway[bot]");
});
