import { PROMETHEUS, PROMETHEUS_RULE } from "../../controller/kinds/monitor/effects/prometheus-rule.ts";
import type { KubeClient } from "../../controller/kube/client.ts";
import {
  CustomResourceDefinition,
  type KubeObject,
  type ResourceType,
} from "../../controller/kube/resources.ts";
import { waitFor } from "../scenario/wait.ts";

const TYPES = [PROMETHEUS_RULE, PROMETHEUS];

/** The types of the Prometheus operator, without their schemas, until they are disposed of. */
export async function operatorTypes(client: KubeClient): Promise<AsyncDisposable> {
  for (const type of TYPES)
    await client.apply(CustomResourceDefinition, crd(type), { fieldManager: "test", force: true });
  for (const type of TYPES)
    await waitFor(
      `${type.kind} to be served`,
      () => client.list(type),
      () => true,
    );
  return {
    async [Symbol.asyncDispose]() {
      for (const { plural, group } of TYPES)
        await client.delete(CustomResourceDefinition, undefined, `${plural}.${group}`);
    },
  };
}

const crd = ({ group, version, kind, plural }: ResourceType): KubeObject => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: { kind, plural },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});
