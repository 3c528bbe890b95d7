import { afterAll, beforeAll, expect, test } from "vitest";
import { childName, podPrefix } from "../../../controller/kinds/model-deployment/names.ts";
import { Deployment, Pod } from "../../../controller/kube/resources.ts";
import type { ModelDeployment } from "../../../schemas/model-deployment.ts";
import { object } from "../../kind-objects.ts";
import { waitFor } from "../../scenario/wait.ts";
import { type TestNamespace, testNamespace } from "../kube/cluster.ts";

/*
 * A Monitor finds a revision's series by the names of its pods, which Kubernetes makes out of the Deployment's name, and
 * cuts.
 */
const REVISION = "a".repeat(64);

let world: TestNamespace;
beforeAll(async () => {
  world = await testNamespace();
});
afterAll(() => world?.[Symbol.asyncDispose]());

test.each([1, 33, 34, 44, 45, 50, 63])(
  "of a ModelDeployment whose name has %d characters",
  async (length) => {
    const { client, namespace } = world;
    // Cut off they would be alike, were they of one letter.
    const letter = String.fromCharCode(97 + (length % 26));
    const model = object<ModelDeployment>("ModelDeployment", {
      metadata: { name: letter.repeat(length) },
      spec: { type: "InCluster" },
    });
    const name = childName(model, REVISION);
    const labels = { app: name };
    await client.create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: "server", image: "registry.example.com/server" }] },
        },
      },
    });
    const { items } = await waitFor(
      `the pod of ${name}`,
      () => client.list(Pod, { namespace, labelSelector: `app=${name}` }),
      (found) => found.items.length > 0,
    );
    const prefix = podPrefix(model, REVISION);
    const [pod = ""] = items.map((each) => each.metadata.name);
    expect(pod.slice(0, prefix.length)).toBe(prefix);
    // Shorter, it might fit other pods as well.
    expect(prefix.length).toBe(Math.min(name.length + 1, pod.length - 5));
  },
);
