import { randomBytes } from "node:crypto";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Namespace } from "../../../controller/kube/resources.ts";

/** The kubeconfig of a real API server on which the tests may do anything. */
export function kubeconfigPath(): string {
  const path = process.env.SLIPWAY_TEST_KUBECONFIG;
  if (!path) {
    throw new Error(
      "SLIPWAY_TEST_KUBECONFIG is not set: these tests need the kubeconfig of a real API server",
    );
  }
  return path;
}

export interface TestNamespace extends AsyncDisposable {
  readonly client: KubeClient;
  readonly namespace: string;
}

/** A client and a namespace of its own; the namespace is deleted at the end. */
export async function testNamespace(): Promise<TestNamespace> {
  const client = KubeClient.fromKubeconfig({ path: kubeconfigPath(), userAgent: "slipway-test" });
  const namespace = `kube-${randomBytes(4).toString("hex")}`;
  await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  return {
    client,
    namespace,
    async [Symbol.asyncDispose]() {
      await client.delete(Namespace, undefined, namespace);
      await client.close();
    },
  };
}
