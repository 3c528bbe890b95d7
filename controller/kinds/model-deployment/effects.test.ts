import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { effectContext } from "../../../test/effect-context.ts";
import { canonicalJson } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { openStateStore } from "../../store/open.ts";
import { WorkTokens } from "../../work/tokens.ts";
import { admit } from "./effects.ts";

const context = effectContext("ModelDeployment", "a");
const tokens = new WorkTokens(new Uint8Array(32));
let folder: string;
let state: Awaited<ReturnType<typeof openStateStore>>;
let made: KubeObject[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-admit-"));
  state = await openStateStore(folder);
  made = [];
});
afterEach(async () => {
  await state.close();
  await rm(folder, { recursive: true, force: true });
});

function admitted(artifact: string) {
  const client = {
    create: async (_: unknown, object: KubeObject) => {
      made.push(object);
      return object;
    },
  };
  const secrets = { read: async () => Promise.reject(new Error("no Secret is named")) };
  const claims = { object: context.object, uid: "u1", input: "i", read: [artifact], write: false };
  const owner = { apiVersion: "slipway.dev/v1alpha1", kind: "ModelDeployment", name: "a", uid: "u1" };
  const input = {
    namespace: "team",
    serviceAccountName: "default",
    sources: [],
    token: { name: "a-0123", claims, owner },
  };
  const { blobs, reports } = state;
  return admit({ client: client as never, secrets: secrets as never, tokens, blobs, reports })(
    input as never,
    context,
  );
}

async function store(content: string, by: string): Promise<string> {
  const digest = await state.blobs.put(content);
  await state.reports.addUpload(by, digest);
  return digest;
}
const manifest = (digest: string) =>
  canonicalJson({ version: 1, type: "model", files: [{ path: "w", digest, bytes: 1 }], metadata: {} });

test("pods get a token for what a FineTuneJob of the namespace has made", async () => {
  const by = "FineTuneJob/team/b/u2";
  const artifact = await store(manifest(await store("w", by)), by);
  expect(await admitted(artifact)).toEqual({ secret: "a-0123" });
  const { stringData } = made[0] as KubeObject & { stringData: { token: string } };
  expect(tokens.verify(stringData.token)).toMatchObject({ read: [artifact], write: false });
});

test("and none for what another namespace has made, or for a list of it", async () => {
  const theirs = await store("x", "FineTuneJob/team-b/b/u2");
  for (const artifact of [
    await store(manifest(theirs), "FineTuneJob/team-b/b/u2"),
    await store(canonicalJson({ ...JSON.parse(manifest(theirs)), type: "adapter" }), "FineTuneJob/team/b/u2"),
    `sha256:${"0".repeat(64)}`,
  ]) {
    await expect(admitted(artifact)).rejects.toMatchObject({ code: "UnknownArtifact", retryable: false });
  }
  expect(made).toEqual([]);
});
