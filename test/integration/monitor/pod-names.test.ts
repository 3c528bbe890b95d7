import { afterAll, beforeAll, expect, test } from "vitest";
import { childName, podPrefix } from "../../../controller/kinds/model-deployment/names.ts";
import { type KubeObject, Pod, ServiceAccount } from "../../../controller/kube/resources.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { object } from "../../kind-objects.ts";
import { type TestNamespace, testNamespace } from "../kube/cluster.ts";

/*
 * A Monitor finds a revision's series by the names of its pods. A ReplicaSet only says how a name is to begin: the API
 * server makes it, and cuts it.
 */
const REVISION = "a".repeat(64);
/** The longest that a ReplicaSet has. */
const TEMPLATE_HASH = "5d4f8c7b96";

let world: TestNamespace;
beforeAll(async () => {
  world = await testNamespace();
  const { namespace } = world;
  await world.client.create(ServiceAccount, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "default", namespace },
  });
});
afterAll(() => world?.[Symbol.asyncDispose]());

test.each([1, 33, 34, 44, 45, 50, 63])("of a deployment whose name has %d characters", async (length) => {
  const { client, namespace } = world;
  const deployment = object<ModelDeployment>("ModelDeployment", {
    metadata: { name: "m".repeat(length) },
    spec: { type: "InCluster" },
  });
  const generateName = `${childName(deployment, REVISION)}-${TEMPLATE_HASH}-`;
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { generateName, namespace },
    spec: { containers: [{ name: "server", image: "registry.example.com/server" }] },
  };
  const { metadata } = await client.create(Pod, pod as unknown as KubeObject, { dryRun: true });
  const prefix = podPrefix(deployment, REVISION);
  expect(metadata.name.slice(0, prefix.length)).toBe(prefix);
  expect(metadata.name.length).toBeGreaterThan(prefix.length);
});
