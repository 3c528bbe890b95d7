import { afterAll, expect, it } from "vitest";
import { GitHubForge } from "../../controller/pr/forge/github.ts";
import { describeForge } from "../forge-suite.ts";
import { GitHubServer } from "./github-server.ts";

const REPOSITORY = "team/app";
const violations: string[] = [];
const used = new Set<string>();

describeForge("GitHub", async () => {
  const server = await GitHubServer.start(REPOSITORY);
  const { state } = server;
  server.tokens.set("ghp_own", "slipway-bot");
  server.tokens.set("ghp_outsider", "mallory");
  state.permissions.set("slipway-bot", "write");
  state.permissions.set("mallory", "read");
  const forgeWith = (token: string) =>
    GitHubForge.create({
      repository: REPOSITORY,
      apiUrl: server.url,
      credential: { token },
      pageSize: 3,
      pacing: false,
      second: 1,
    });
  return {
    forge: await forgeWith("ghp_own"),
    outsider: await forgeWith("ghp_outsider"),
    badToken: await forgeWith("not-a-token"),
    ownLogin: "slipway-bot",
    outsiderLogin: "mallory",
    descriptionLimit: 140,
    push: async (where, branch) => state.push(where === "base" ? REPOSITORY : "mallory/app", branch),
    close: async () => {
      violations.push(...server.violations);
      for (const call of server.calls) used.add(call);
      await server.close();
    },
  };
});

afterAll(() => {
  expect(violations).toEqual([]);
  expect(used.size).toBeGreaterThan(10);
});

it("has its own file of GitHub's document", async () => {
  const server = await GitHubServer.start(REPOSITORY);
  expect(server.api.operationIds).toHaveLength(20);
  await server.close();
});
