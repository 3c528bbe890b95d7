import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { effectContext } from "../../../test/effect-context.ts";
import { startModelEndpoint } from "../../../test/model-endpoint.ts";
import { type Hub, startHub } from "../../dev/hub.ts";
import { KubeError } from "../../kube/kube-error.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { admit, ask, resolve } from "./effects.ts";

const context = effectContext("ModelDeployment", "triage", { signal: AbortSignal.timeout(30_000) });
const base = { namespace: "team", serviceAccountName: "account" };
const reads: string[] = [];
const secretsWith = (data: Record<string, string>, allowedHosts: string[]) => ({
  read: async (namespace: string, name: string, account: string) => {
    reads.push(`${namespace}/${name} as ${account}`);
    return { data, allowedHosts };
  },
});

describe("looking up sources", () => {
  let folder: string;
  let hub: Hub;
  beforeEach(async () => {
    reads.length = 0;
    folder = await mkdtemp(join(tmpdir(), "slipway-resolve-"));
    await writeFile(join(folder, "config.json"), "{}");
    hub = await startHub({ models: { "org/model": folder }, token: "hf_secret" });
  });
  afterEach(async () => {
    await hub.close();
    await rm(folder, { recursive: true });
  });
  const input = (secret?: { name: string; tokenKey?: string }) => ({
    ...base,
    sources: [
      { name: "model", reference: "hf://org/model@main", endpoint: hub.url, ...(secret ? { secret } : {}) },
    ],
  });

  test.each([
    ["under the hub's own name", { HF_TOKEN: "hf_secret" }, { name: "hub" }],
    ["under the name that a FineTuneJob gives", { apiKey: "hf_secret" }, { name: "hub", tokenKey: "apiKey" }],
    [
      "that a FineTuneJob names, beside another",
      { HF_TOKEN: "hf_other", apiKey: "hf_secret" },
      { name: "hub", tokenKey: "apiKey" },
    ],
  ])("a branch becomes a commit, with the tenant's token %s", async (_, data, secret) => {
    const secrets = secretsWith(data, [new URL(hub.url).host]);
    const found = await resolve(secrets)(input(secret) as never, context);
    const resolved = expect.stringMatching(/^hf:\/\/org\/model@[0-9a-f]{40}$/);
    expect(found).toEqual([{ name: "model", source: "hf://org/model@main", resolved }]);
    expect(reads).toEqual(["team/hub as account"]);
  });

  test("the same name on another hub is another commit", async () => {
    const elsewhere = join(folder, "elsewhere");
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, "config.json"), '{"other": true}');
    const other = await startHub({ models: { "org/model": elsewhere }, token: "hf_secret" });
    const secrets = secretsWith({ HF_TOKEN: "hf_secret" }, [new URL(hub.url).host, new URL(other.url).host]);
    const [model] = input({ name: "hub" }).sources;
    const sources = [model, { ...model, name: "tone", endpoint: other.url }];
    try {
      const found = (await resolve(secrets)({ ...base, sources } as never, context)) as {
        resolved: string;
      }[];
      expect(found).toMatchObject([{ name: "model" }, { name: "tone" }]);
      expect(new Set(found.map(({ resolved }) => resolved)).size).toBe(2);
    } finally {
      await other.close();
    }
  });

  test("a token goes to no host that its Secret does not name", async () => {
    const secrets = secretsWith({ HF_TOKEN: "hf_secret" }, ["huggingface.co"]);
    await expect(resolve(secrets)(input({ name: "hub" }) as never, context)).rejects.toMatchObject({
      code: "HostNotAllowed",
    });
    expect(hub.requests).toEqual([]);
  });

  test("what is private is said to be so", async () => {
    await expect(resolve(secretsWith({}, []))(input() as never, context)).rejects.toMatchObject({
      code: "SourceForbidden",
    });
  });
});

describe("before a revision's pods", () => {
  const token = {
    name: "triage-1",
    claims: { object: context.object, uid: "u", input: "r", read: [], write: false },
    owner: { apiVersion: "slipway.dev/v1alpha1", kind: "ModelDeployment", name: "triage", uid: "u" },
  };
  const made: KubeObject[] = [];
  const handler = (create: (object: KubeObject) => void, hosts = ["huggingface.co"]) =>
    admit({
      client: {
        create: async (_type: unknown, object: KubeObject) => {
          create(object);
          return object;
        },
      } as never,
      secrets: secretsWith({ HF_TOKEN: "x" }, hosts),
      tokens: { issue: () => "signed" },
      // No artifact is named here; effects.test.ts has those.
      blobs: {} as never,
      reports: {} as never,
    });
  const source = { name: "model", reference: "hf://org/model", secret: { name: "hub" } };

  test("its token is made as a Secret that goes with the deployment", async () => {
    made.length = 0;
    await handler((object) => made.push(object))({ ...base, sources: [source], token } as never, context);
    expect(made).toMatchObject([
      {
        kind: "Secret",
        metadata: { name: "triage-1", ownerReferences: [{ uid: "u" }] },
        stringData: { token: "signed" },
      },
    ]);
  });

  test("one that is there already is this revision's own", async () => {
    const there = handler(() => {
      throw new KubeError(409, "AlreadyExists", "exists");
    });
    expect(await there({ ...base, sources: [], token } as never, context)).toEqual({ secret: "triage-1" });
  });

  test.each([
    ["the hub", source],
    ["the bucket", { ...source, reference: "s3://models/llama" }],
    [
      "a server of its own",
      { ...source, reference: "s3://models/llama", endpoint: "https://s3.example.org" },
    ],
  ])("a Secret that may not go to %s stops it, and nothing is made", async (_, of) => {
    made.length = 0;
    const attempt = handler((object) => made.push(object), ["example.com"])(
      { ...base, sources: [of], token } as never,
      context,
    );
    await expect(attempt).rejects.toMatchObject({ code: "HostNotAllowed" });
    expect(made).toEqual([]);
  });

  test.each([
    ["eu-central-1", { secret: "triage-1" }],
    [undefined, { code: "HostNotAllowed" }],
  ])("a bucket's host is that of its region: %s", async (region, outcome) => {
    const source = { name: "model", reference: "s3://models/llama", secret: { name: "bucket" }, region };
    const attempt = handler(() => undefined, ["models.s3.eu-central-1.amazonaws.com"])(
      { ...base, sources: [source], token } as never,
      context,
    ).catch((error: unknown) => error);
    expect(await attempt).toMatchObject(outcome);
  });
});

test("a Service that answers for an adapter that is not there is not taken for one that serves adapters", async () => {
  await using server = await startModelEndpoint({ models: ["triage"], adapters: "ignored" });
  const probe = { address: server.baseURL, listed: "triage" };
  expect(await ask(probe, context)).toMatchObject({ ok: true });
  const asked = await ask({ ...probe, absent: "triage:_none_" }, context);
  expect(asked).toMatchObject({ ok: false, reason: "AdapterIgnored" });
});

test("a Service that nothing answers behind is unreachable, and asked again", async () => {
  expect(await ask({ address: "http://127.0.0.1:1/v1", listed: "m" }, context)).toMatchObject({
    ok: false,
    reason: "EndpointUnreachable",
    terminal: false,
  });
});
