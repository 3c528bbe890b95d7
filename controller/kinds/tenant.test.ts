import { expect, test } from "vitest";
import { API_VERSION } from "../../schemas/kind.ts";
import type { KubeObject } from "../kube/resources.ts";
import type { View } from "../runtime/kind.ts";
import { tenantOf } from "./tenant.ts";

const repository = {
  metadata: { name: "repo", namespace: "team" },
  spec: { serviceAccountName: "team-account" },
};
const view = {
  get: (_type: unknown, namespace: string, name: string) =>
    namespace === "team" && name === "repo" ? repository : undefined,
} as unknown as View;
const object = (labels: Record<string, string> = {}, namespace = "team"): KubeObject => ({
  apiVersion: API_VERSION,
  kind: "ModelDeployment",
  metadata: { name: "m", namespace, labels },
});

test.each([
  ["made by hand", object(), "default"],
  ["of a Repository", object({ "slipway.dev/repository": "repo" }), "team-account"],
  ["of a Repository that is gone", object({ "slipway.dev/repository": "other" }), "default"],
  [
    "naming a Repository of another namespace",
    object({ "slipway.dev/repository": "repo" }, "else"),
    "default",
  ],
])("an object %s is read as %s", (_, from, account) => {
  expect(tenantOf(from, view)).toBe(account);
});
