import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resourceTypeOf } from "../../controller/gitops/apply.ts";
import type { KubeObject } from "../../controller/kube/resources.ts";
import { ServiceAccount } from "../../controller/kube/resources.ts";
import type { Repository, RepositorySpec } from "../../schemas/repository.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { createSecret } from "../scenario/cluster.ts";
import { deploymentManifest, type Manifest, yamlOf } from "../scenario/manifests.ts";
import { answer, bundle, prompt } from "./story.ts";
import { readyOf, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

const A_WHILE_MS = 2_000;
const yaml = (name: string) => yamlOf(prompt(name, "plain"));

describe("a Repository", () => {
  let world: World;
  let model: ModelEndpointHandle;
  const worldTenant = () => world.tenant();

  beforeAll(async () => {
    model = await startModelEndpoint({ answer });
    world = await World.create();
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await model?.close();
  });

  describe("deletes", () => {
    let tenant: Tenant;

    beforeAll(async () => {
      tenant = await worldTenant();
      const commit = await tenant.push({
        ...bundle(model.baseURL),
        "one.yaml": yaml("one"),
        "two.yaml": yaml("two"),
      });
      await tenant.follow();
      await tenant.synced(commit);
      await tenant.ready("EvalSuite", "triage");
    });

    test("what git no longer has, and its ConfigMap with it", async () => {
      await tenant.ready("PromptTemplate", "one");
      expect(await tenant.names("ConfigMap")).toContain("one");
      const commit = await tenant.push({ "one.yaml": undefined });
      await tenant.synced(commit);
      await tenant.gone("PromptTemplate", "one");
      expect(await tenant.names("PromptTemplate")).toEqual(["triage", "two"]);
    });

    test("only after the rest is Ready", async () => {
      const broken = await startModelEndpoint({ models: ["another-model"] });
      try {
        const commit = await tenant.push({
          "two.yaml": undefined,
          "slow.yaml": yamlOf(deploymentManifest("slow", broken.baseURL)),
        });
        await tenant.said("Synced", commit);
        await tenant.waitFor("ModelDeployment", "slow", "to say ModelNotFound", (object) => {
          return readyOf(object)?.reason === "ModelNotFound";
        });
        await sleep(A_WHILE_MS);
        expect(await tenant.names("PromptTemplate")).toContain("two");
        expect(readyOf(await tenant.object("Repository", "app"))?.message).toContain(
          "waiting for ModelDeployment/slow to be Ready",
        );
        broken.set({ models: ["test-model"] });
        await tenant.gone("PromptTemplate", "two");
      } finally {
        await broken.close();
      }
    });

    test("no more than deletionBudget allows", async () => {
      const names = ["a", "b", "c"];
      const files = Object.fromEntries(names.map((name) => [`${name}.yaml`, yaml(name)]));
      const filled = await tenant.push({ ...files, "slow.yaml": undefined });
      await tenant.synced(filled);
      await tenant.gone("ModelDeployment", "slow");
      await tenant.follow({ deletionBudget: 2 });
      const commit = await tenant.push(Object.fromEntries(names.map((name) => [`${name}.yaml`, undefined])));
      const { status } = await tenant.said("DeletionBudgetExceeded", commit);
      expect(readyOf({ status })?.message).toContain("3 objects would be deleted");
      expect(await tenant.names("PromptTemplate")).toEqual(["a", "b", "c", "triage"]);
      await tenant.follow({ deletionBudget: 3 });
      for (const name of names) await tenant.gone("PromptTemplate", name);
      await tenant.said("Synced", commit);
    });

    test("nothing with prune: false", async () => {
      await tenant.synced(await tenant.push({ "kept.yaml": yaml("kept") }));
      await tenant.ready("PromptTemplate", "kept");
      await tenant.follow({ prune: false });
      await tenant.said("Synced", await tenant.push({ "kept.yaml": undefined }));
      await sleep(A_WHILE_MS);
      expect(await tenant.names("PromptTemplate")).toContain("kept");
    });
  });

  describe("keeps its hands off", () => {
    let tenant: Tenant;
    const foreign = (manifest: Manifest) =>
      world.client.apply(
        resourceTypeOf(manifest.kind),
        { ...manifest, metadata: { ...manifest.metadata, namespace: tenant.namespace } } as KubeObject,
        { fieldManager: "somebody", force: true },
      );

    beforeAll(async () => {
      tenant = await worldTenant();
    });

    test("an object that somebody else made: Conflict, and not a byte of it changes", async () => {
      await foreign(prompt("theirs", "careful"));
      const before = await tenant.ready<KubeObject>("PromptTemplate", "theirs");
      const commit = await tenant.push({ "theirs.yaml": yaml("theirs"), "ours.yaml": yaml("ours") });
      await tenant.follow();
      const repository = await tenant.said("Conflict", commit);
      expect(readyOf(repository)?.message).toContain("PromptTemplate/theirs");
      expect(repository.status?.lastAppliedRevision).toBeUndefined();
      await tenant.ready("PromptTemplate", "ours");
      const after = await tenant.object<KubeObject>("PromptTemplate", "theirs");
      expect(after?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);

      // Nor is it deleted when git drops it.
      await tenant.synced(await tenant.push({ "theirs.yaml": undefined }));
      expect(await tenant.names("PromptTemplate")).toEqual(["ours", "theirs"]);
    });

    test("another Repository's object", async () => {
      await tenant.follow({}, "second");
      const second = await tenant.said("Conflict", undefined, "second");
      expect(readyOf(second)?.message).toContain("belongs to Repository app");
      expect((await tenant.object<KubeObject>("PromptTemplate", "ours"))?.metadata.labels).toMatchObject({
        "slipway.dev/repository": "app",
      });
    });

    test("but mends what somebody changed in its own", async () => {
      const before = await tenant.object<KubeObject & { spec: unknown }>("PromptTemplate", "ours");
      await foreign(prompt("ours", "hasty"));
      const after = await tenant.waitFor<KubeObject>("PromptTemplate", "ours", "to be mended", ({ spec }) => {
        return JSON.stringify(spec) === JSON.stringify(before?.spec);
      });
      expect(after.metadata.generation).toBeGreaterThan(before?.metadata.generation ?? 0);
    });
  });

  describe("says what is wrong", () => {
    let tenant: Tenant;
    let commit: string;

    beforeAll(async () => {
      tenant = await worldTenant();
      commit = await tenant.push({ "here/prompt.yaml": yaml("here") });
      const { client, gitea } = world;
      const { namespace } = tenant;
      const host = new URL(gitea.url).host;
      await createSecret(
        client,
        namespace,
        "wrong",
        { username: "nobody", password: "canary-wrong-password" },
        [host],
      );
      await createSecret(client, namespace, "elsewhere", { username: "nobody", password: "x" }, [
        "git.example.com",
      ]);
      await client.apply(
        ServiceAccount,
        { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "powerless", namespace } },
        { fieldManager: "test" },
      );
    });

    const wrong: Readonly<Record<string, [Partial<RepositorySpec>, reason: RegExp, message: RegExp]>> = {
      branch: [{ branch: "trunk" }, /^GitRefNotFound$/, /trunk/],
      folder: [{ path: "nowhere" }, /^InvalidManifests$/, /nowhere: there is no such folder/],
      account: [{ serviceAccountName: "ghost" }, /^(ApplyFailed|Forbidden)$/, /ghost/],
      rights: [{ serviceAccountName: "powerless" }, /^(ApplyFailed|Forbidden)$/, /powerless/],
      credentials: [{ secretRef: { name: "wrong" } }, /^GitUnauthorized$/, /refused the credentials/],
      host: [{ secretRef: { name: "elsewhere" } }, /^HostNotAllowed$/, /may not be sent to/],
      secret: [{ secretRef: { name: "missing" } }, /^SecretNotFound$/, /missing/],
    };

    test.for(Object.entries(wrong))("with its %s", async ([name, [spec, reason, message]]) => {
      await tenant.follow({ pullRequests: { enabled: false, onNotEvaluated: "Pass" }, ...spec }, name);
      const repository = await tenant.waitFor<Repository>("Repository", name, "to say why", (object) => {
        return reason.test(readyOf(object)?.reason ?? "");
      });
      expect(readyOf(repository)).toMatchObject({ status: "False", message: expect.stringMatching(message) });
      expect(repository.status?.lastAppliedRevision).toBeUndefined();
      expect(await tenant.names("PromptTemplate")).toEqual([]);
    });

    test("with a repository that is gone, and keeps what it had applied", async () => {
      await tenant.follow();
      await tenant.synced(commit);
      await tenant.ready("PromptTemplate", "here");
      await world.gitea.api("DELETE", `/repos/${tenant.repository.fullName}`);
      await tenant.request("Repository", "app");
      const repository = await tenant.waitFor<Repository>("Repository", "app", "to say why", (object) => {
        return /^Git/.test(readyOf(object)?.reason ?? "");
      });
      expect(readyOf(repository)).toMatchObject({ status: "False" });
      expect(readyOf(repository)?.reason).toMatch(/^Git(NotFound|Unauthorized)$/);
      expect(repository.status?.lastAppliedRevision).toBe(commit);
      expect(await tenant.names("PromptTemplate")).toEqual(["here"]);
    });
  });

  test("does nothing while it is suspended, and catches up afterwards", async () => {
    const tenant = await worldTenant();
    await tenant.synced(
      await (async () => {
        const commit = await tenant.push({ "first.yaml": yaml("first") });
        await tenant.follow();
        return commit;
      })(),
    );
    await tenant.follow({ suspend: true });
    const commit = await tenant.push({ "second.yaml": yaml("second") });
    await sleep(A_WHILE_MS);
    expect(await tenant.names("PromptTemplate")).toEqual(["first"]);
    await tenant.follow({ suspend: false });
    await tenant.synced(commit);
    expect(await tenant.names("PromptTemplate")).toEqual(["first", "second"]);
  });

  test("with apply: false leaves the cluster alone and still judges pull requests", async () => {
    const tenant = await worldTenant();
    await tenant.push(bundle(model.baseURL));
    await tenant.follow({ apply: false });
    await tenant.said("Synced");
    expect(await tenant.names("PromptTemplate")).toEqual([]);
    const worse = await tenant.propose("worse", { "prompt.yaml": yamlOf(prompt("triage", "hasty")) });
    expect(await tenant.judged(worse)).toMatchObject({ status: "failure" });
    expect(await tenant.names("PromptTemplate")).toEqual([]);
  });
});
