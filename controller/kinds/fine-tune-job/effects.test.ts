import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { effectContext } from "../../../test/effect-context.ts";
import { canonicalJson } from "../../graph/canonical.ts";
import { KubeError } from "../../kube/kube-error.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { WorkTokens } from "../../work/tokens.ts";
import type { AdmitInput, VerifyInput } from "./effect-inputs.ts";
import { admit, type EffectDependencies, verify } from "./effects.ts";

const OWN = "FineTuneJob/team/a/u1";
const context = effectContext("FineTuneJob", "a");

let dir: string;
let state: StateStore;
let made: KubeObject[];
const tokens = new WorkTokens(Buffer.alloc(32, 7));

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-ftj-"));
  state = await openStateStore(dir);
  made = [];
});
afterEach(async () => {
  await state.close();
  await rm(dir, { recursive: true });
});

function dependencies(
  secrets: Record<string, { data: Record<string, string>; allowedHosts: string[] }> = {},
): EffectDependencies {
  return {
    client: {
      create: async (_type, object) => {
        if (made.some(({ metadata }) => metadata.name === object.metadata.name))
          throw new KubeError(409, "AlreadyExists", "exists");
        made.push(object);
        return object;
      },
    },
    secrets: { read: async (_namespace, name) => secrets[name]! },
    tokens,
    ...state,
  };
}

const input = (more: Partial<AdmitInput> = {}): AdmitInput => ({
  namespace: "team",
  account: "default",
  secrets: [],
  artifacts: [],
  claims: { object: context.object, uid: "u1", input: "i", read: [], write: true },
  name: "a-0123",
  owner: { apiVersion: "slipway.dev/v1alpha1", kind: "FineTuneJob", name: "a", uid: "u1", controller: true },
  ...more,
});

describe("an artifact to start from", () => {
  const store = async (content: string, by: string) => {
    const digest = await state.blobs.put(content);
    await state.reports.addUpload(by, digest);
    return digest;
  };
  const manifest = (digest: string) =>
    canonicalJson({ version: 1, type: "model", files: [{ path: "w", digest, bytes: 1 }], metadata: {} });
  const admitted = (artifact: string) =>
    admit(dependencies())(input({ artifacts: [artifact] }) as never, context);

  test("is one that a FineTuneJob of the namespace has made", async () => {
    const mine = await store(manifest(await store("w", "FineTuneJob/team/b/u2")), "FineTuneJob/team/b/u2");
    expect(await admitted(mine)).toEqual({ secret: "a-0123" });
  });

  test("is none of another namespace, nor one's own list of what others have stored", async () => {
    const theirs = await store("x", "FineTuneJob/team-b/b/u2");
    const refused = { code: "UnknownArtifact" };
    await expect(admitted(await store(manifest(theirs), "FineTuneJob/team-b/b/u2"))).rejects.toMatchObject(
      refused,
    );
    await expect(admitted(await store(manifest(theirs), OWN))).rejects.toMatchObject(refused);
    await expect(admitted(await store("no manifest", OWN))).rejects.toMatchObject(refused);
    await expect(admitted(`sha256:${"0".repeat(64)}`)).rejects.toMatchObject(refused);
    expect(made).toEqual([]);
  });
});

test("the pod's token is a Secret of the object, made once", async () => {
  const handler = admit(dependencies());
  await handler(input() as never, context);
  await handler(input() as never, context);
  expect(made).toHaveLength(1);
  const { stringData, metadata } = made[0] as KubeObject & { stringData: { token: string } };
  expect(tokens.verify(stringData.token)).toMatchObject({ uid: "u1", input: "i" });
  expect(metadata.ownerReferences).toMatchObject([{ uid: "u1", controller: true }]);
});

test.each([
  ["of a key that is not there", { hub: { data: {}, allowedHosts: ["huggingface.co"] } }, "SecretIncomplete"],
  [
    "that may go elsewhere only",
    { hub: { data: { apiKey: "k" }, allowedHosts: ["other.example"] } },
    "HostNotAllowed",
  ],
])("a Secret %s lets nothing start", async (_what, secrets, code) => {
  const use = { name: "hub", keys: ["apiKey"], url: "https://huggingface.co" };
  const attempt = admit(dependencies(secrets))(input({ secrets: [use] }) as never, context);
  await expect(attempt).rejects.toMatchObject({ code });
  expect(made).toEqual([]);
});

test("a Secret that may go there lets it start", async () => {
  const use = { name: "hub", keys: ["apiKey"], url: "https://huggingface.co" };
  const secrets = { hub: { data: { apiKey: "k" }, allowedHosts: ["huggingface.co"] } };
  await admit(dependencies(secrets))(input({ secrets: [use] }) as never, context);
  expect(made).toHaveLength(1);
});

const check = (digest: string, more: Partial<VerifyInput> = {}, owner = OWN) =>
  verify(dependencies())({ digest, type: "adapter", known: false, ...more } as never, { ...context, owner });

async function store(own: boolean, type = "adapter") {
  const file = await state.blobs.put("weights");
  const files = [{ path: "adapter_model.safetensors", digest: file, bytes: 7 }];
  const manifest = await state.blobs.put(canonicalJson({ version: 1, type, files, metadata: {} }));
  await state.reports.addUpload(OWN, manifest);
  if (own) await state.reports.addUpload(OWN, file);
  return manifest;
}

test("an artifact counts when manifest and files are there, and its own", async () => {
  expect(await check(await store(true))).toEqual({ files: 1 });
});

test.each([
  ["has one", '{"peft_type":"LORA","r":64}', { files: 2, rank: 64 }],
  ["says another thing", '{"r":"many"}', { files: 2 }],
])("the rank of an adapter whose configuration %s", async (_, config, found) => {
  const file = async (path: string, content: string) => {
    const digest = await state.blobs.put(content);
    await state.reports.addUpload(OWN, digest);
    return { path, digest, bytes: content.length };
  };
  const files = [
    await file("adapter_config.json", config),
    await file("adapter_model.safetensors", "weights"),
  ];
  const manifest = canonicalJson({ version: 1, type: "adapter", files, metadata: {} });
  expect(await check((await file("manifest.json", manifest)).digest)).toEqual(found);
});

test("files of somebody else are not served as one's own", async () => {
  const manifest = await store(false);
  await expect(check(manifest)).rejects.toMatchObject({ code: "ArtifactInvalid" });
  await expect(check(manifest, {}, "FineTuneJob/other/b/u2")).rejects.toMatchObject({
    code: "ArtifactInvalid",
  });
  expect(await check(manifest, { known: true })).toEqual({ files: 1 });
});

test("what is not there, or no manifest of that type, does not count", async () => {
  await expect(check(`sha256:${"0".repeat(64)}`)).rejects.toMatchObject({ code: "ArtifactMissing" });
  await expect(check(await store(true, "model"))).rejects.toMatchObject({ code: "ArtifactInvalid" });
  const text = await state.blobs.put("no manifest");
  await state.reports.addUpload(OWN, text);
  await expect(check(text)).rejects.toMatchObject({ code: "ArtifactInvalid" });
  const files = [{ path: "a", digest: `sha256:${"1".repeat(64)}`, bytes: 1 }];
  const half = await state.blobs.put(canonicalJson({ version: 1, type: "adapter", files, metadata: {} }));
  await state.reports.addUpload(OWN, half);
  await expect(check(half)).rejects.toMatchObject({ code: "ArtifactMissing" });
});
