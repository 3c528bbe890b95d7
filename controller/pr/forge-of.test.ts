import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ANNOTATION_ALLOWED_HOSTS } from "../../schemas/kind.ts";
import { type Repository, repositorySpec } from "../../schemas/repository.ts";
import { GitHubServer } from "../../test/contract/github-server.ts";
import { object } from "../../test/kind-objects.ts";
import type { SecretContent, SecretReader } from "../kube/secrets.ts";
import { forgeFactory } from "./forge-of.ts";

const signal = AbortSignal.timeout(60_000);
let server: GitHubServer;

beforeEach(async () => {
  server = await GitHubServer.start("team/app");
  server.tokens.set("ghp_own", "slipway-bot");
  server.tokens.set("ghp_next", "next-bot");
});
afterEach(async () => {
  await server.close();
  expect(server.violations).toEqual([]);
});

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const app = { appId: "42\n", installationId: "77", privateKey: pem };

interface Changes {
  readonly uid?: string;
  readonly forge?: Partial<NonNullable<Repository["spec"]["forge"]>>;
}

/** Its git is elsewhere than its API, as on a GitHub Enterprise Server with a name of its own for that. */
function repository({ uid = "uid-1", forge = {} }: Changes = {}): Repository {
  const spec = repositorySpec.parse({
    url: "https://git.example.com/team/app.git",
    serviceAccountName: "team-account",
    forge: { type: "GitHub", apiURL: server.url, secretRef: { name: "forge" }, ...forge },
  });
  return object<Repository>("Repository", { spec, metadata: { uid } });
}

/** A factory over one Secret, which a test may change, and who read what. */
function world(data: Record<string, string>, allowedHosts: readonly string[] = [new URL(server.url).host]) {
  const reads: unknown[][] = [];
  const secret: { -readonly [key in keyof SecretContent]: SecretContent[key] } = { data, allowedHosts };
  const read = async (...args: unknown[]) => {
    reads.push(args);
    return { ...secret };
  };
  return { reads, secret, forgeOf: forgeFactory({ read } as unknown as SecretReader) };
}

describe("a Secret's credential", () => {
  it("is a token, read as the tenant", async () => {
    const { forgeOf, reads } = world({ token: " ghp_own\n" });
    const forge = await forgeOf(repository());
    expect(forge).toMatchObject({ kind: "GitHub", repository: "team/app" });
    expect(await forge.login(signal)).toBe("slipway-bot");
    expect(await forge.listOpenPullRequests(signal)).toEqual([]);
    expect(reads).toEqual([["team", "forge", "team-account"]]);
  });

  it("is a GitHub App, which acts as its installation", async () => {
    server.setApp(42, 77, publicKey.export({ type: "spki", format: "pem" }).toString());
    const forge = await world(app).forgeOf(repository());
    expect(await forge.login(signal)).toBe("slipway[bot]");
    expect(await forge.listOpenPullRequests(signal)).toEqual([]);
    expect(server.calls).toEqual([
      "apps/get-authenticated",
      "apps/create-installation-access-token",
      "pulls/list",
    ]);
  });

  it("is the token where there is an App too", async () => {
    const forge = await world({ ...app, token: "ghp_own" }).forgeOf(repository());
    expect(await forge.login(signal)).toBe("slipway-bot");
  });

  it("is a token for Gitea", async () => {
    const forge = await world({ token: "t" }).forgeOf(repository({ forge: { type: "Gitea" } }));
    expect(forge).toMatchObject({ kind: "Gitea", repository: "team/app" });
  });
});

describe("a Secret that does not do", () => {
  const refused = async (work: Promise<unknown>) => {
    const error: unknown = await work.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(server.calls).toEqual([]);
    const { code, message, hint } = error as { code: string; message: string; hint: string };
    for (const value of [pem, "s3cret"]) expect(`${message} ${hint}`).not.toContain(value);
    return { code, message, hint };
  };
  const both = "token, or appId, installationId and privateKey";

  it.each([
    ["nothing", {}],
    ["another key", { password: "s3cret" }],
    ["a blank token", { token: " \n" }],
    ["an App without its id", { ...app, appId: "" }],
    ["an App without its installation", { appId: "42", privateKey: pem }],
    ["an App without its key", { appId: "42", installationId: "77" }],
  ])("has %s: the keys that are missing are said, no value is", async (_, data) => {
    expect(await refused(world(data).forgeOf(repository()))).toEqual({
      code: "SecretIncomplete",
      message: `the Secret of spec.forge.secretRef has no ${both}`,
      hint: `add the key ${both}`,
    });
  });

  it("has an App for Gitea, which needs a token", async () => {
    const gitea = repository({ forge: { type: "Gitea" } });
    expect(await refused(world(app).forgeOf(gitea))).toMatchObject({
      code: "SecretIncomplete",
      hint: "add the key token",
    });
  });

  it.each([
    ["no host", []],
    ["the host of git, not of the API", ["git.example.com"]],
    ["the API's host on another port", ["127.0.0.1", "127.0.0.1:1"]],
  ])("may be sent to %s", async (_, allowedHosts) => {
    const { host } = new URL(server.url);
    expect(await refused(world({ token: "s3cret" }, allowedHosts).forgeOf(repository()))).toEqual({
      code: "HostNotAllowed",
      message: `Secret team/forge may not be sent to ${host}`,
      hint: `add the host to its annotation ${ANNOTATION_ALLOWED_HOSTS}`,
    });
  });

  it("is not named", async () => {
    const { forgeOf, reads } = world({ token: "s3cret" });
    expect(await refused(forgeOf(repository({ forge: { secretRef: undefined } })))).toMatchObject({
      code: "ForgeUnauthorized",
      message: "spec.forge.secretRef is missing",
    });
    expect(reads).toEqual([]);
  });
});

describe("a client", () => {
  it("is kept while nothing changes", async () => {
    const { forgeOf, reads } = world({ token: "ghp_own" });
    expect(await forgeOf(repository())).toBe(await forgeOf(repository()));
    expect(reads).toHaveLength(2);
  });

  it("is another once the token was rotated, and uses the new one", async () => {
    const { forgeOf, secret } = world({ token: "ghp_own" });
    const former = await forgeOf(repository());
    server.tokens.delete("ghp_own");
    await expect(former.listOpenPullRequests(signal)).rejects.toMatchObject({ code: "ForgeUnauthorized" });
    secret.data = { token: "ghp_next" };
    const forge = await forgeOf(repository());
    expect(await forge.login(signal)).toBe("next-bot");
    expect(await forgeOf(repository())).toBe(forge);
  });

  it("is another once an App's key was rotated, and signs with the new one", async () => {
    const { forgeOf, secret } = world(app);
    const next = generateKeyPairSync("rsa", { modulusLength: 2048 });
    server.setApp(42, 77, next.publicKey.export({ type: "spki", format: "pem" }).toString());
    const former = await forgeOf(repository());
    await expect(former.listOpenPullRequests(signal)).rejects.toMatchObject({ code: "ForgeUnauthorized" });
    secret.data = {
      ...app,
      privateKey: next.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
    expect(await (await forgeOf(repository())).listOpenPullRequests(signal)).toEqual([]);
  });

  it("is not handed out any more once the Secret may not be sent there", async () => {
    const { forgeOf, secret } = world({ token: "ghp_own" });
    await forgeOf(repository());
    secret.allowedHosts = ["api.github.com"];
    await expect(forgeOf(repository())).rejects.toMatchObject({ code: "HostNotAllowed" });
  });

  it("is another for another address, and for another Repository with the same Secret", async () => {
    const { forgeOf } = world({ token: "ghp_own" });
    const first = await forgeOf(repository());
    expect(await forgeOf(repository({ uid: "uid-2" }))).not.toBe(first);
    expect(await forgeOf(repository())).toBe(first);
    expect(await forgeOf(repository({ forge: { apiURL: `${server.url}/api/v3` } }))).not.toBe(first);
  });
});
