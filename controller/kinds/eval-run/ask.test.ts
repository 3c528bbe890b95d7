import { afterEach, expect, test } from "vitest";
import { modelOf } from "../../../test/eval-bundles.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../../../test/model-endpoint.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import { askAs } from "./ask.ts";

let endpoint: ModelEndpointHandle | undefined;
afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
});

const tenant = { namespace: "team", serviceAccountName: "team-account" };
const request = { messages: [{ role: "user" as const, content: "hi" }] };
const secretsWith = (allowedHosts: string[]) =>
  ({ read: async () => ({ data: { apiKey: "k-1" }, allowedHosts }) }) as unknown as SecretReader;
const signal = AbortSignal.timeout(10_000);

test("the key goes to the host that its Secret allows", async () => {
  endpoint = await startModelEndpoint({ apiKey: "k-1", answer: () => "hello" });
  const model = modelOf(endpoint.baseURL, { secretRef: { name: "key", key: "apiKey" } });
  const ask = askAs(tenant, secretsWith([new URL(endpoint.baseURL).host]));
  expect(await ask(model, request, signal)).toMatchObject({ text: "hello" });
});

test("and nowhere else: nothing is sent at all", async () => {
  endpoint = await startModelEndpoint();
  const model = modelOf(endpoint.baseURL, { secretRef: { name: "key", key: "apiKey" } });
  const ask = askAs(tenant, secretsWith(["api.example.com"]));
  await expect(ask(model, request, signal)).rejects.toMatchObject({ code: "HostNotAllowed" });
  expect(endpoint.count).toBe(0);
});

test("a deployment without an endpoint cannot be asked", async () => {
  const model = { ...modelOf("http://127.0.0.1:1/v1"), spec: { type: "External" as const } };
  await expect(askAs(tenant, secretsWith([]))(model, request, signal)).rejects.toMatchObject({
    code: "InvalidSpec",
  });
});
