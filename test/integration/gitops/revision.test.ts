import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseManifests } from "../../../controller/gitops/manifest.ts";
import { BEHAVIOURS } from "../../../controller/graph/behaviour.ts";
import { revisionOf } from "../../../controller/graph/graph.ts";
import { install, installObjects } from "../../../controller/install/objects.ts";
import type { KubeClient } from "../../../controller/kube/client.ts";
import { type KubeObject, Namespace } from "../../../controller/kube/resources.ts";
import { API_VERSION, type CustomResource } from "../../../schemas/kind.ts";
import { adminClient, typeOf, uniqueName } from "../../scenario/cluster.ts";
import { FULL, MINIMAL } from "../crds/manifests.ts";

const namespace = uniqueName("revision");
let client: KubeClient;

beforeAll(async () => {
  client = adminClient();
  await install(client, await installObjects({ tenants: [] }), AbortSignal.timeout(60_000));
  await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});
afterAll(async () => {
  await client?.delete(Namespace, undefined, namespace);
  await client?.close();
});

const digest = `sha256:${"1".repeat(64)}`;

/** Case files as they are once the loader has pinned them: before, there is no revision. */
function pinned(spec: Record<string, unknown>): Record<string, unknown> {
  const { files, ...cases } = (spec.cases ?? {}) as { files?: object[] };
  return files ? { ...spec, cases: { ...cases, files: files.map((file) => ({ ...file, digest })) } } : spec;
}

/** As the cluster holds it, through JSON: with the API server's defaults. */
async function fromCluster(kind: string, name: string, spec: unknown): Promise<KubeObject> {
  const object = { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec };
  await client.create(typeOf(kind), object, { fieldValidation: "Strict" });
  return client.get(typeOf(kind), namespace, name);
}

/** As git holds it: YAML without the fields that have defaults, read by the loader. */
function fromFile(kind: string, name: string, spec: unknown): CustomResource<unknown> {
  const text = stringify({ apiVersion: API_VERSION, kind, metadata: { name }, spec });
  const { manifests, errors } = parseManifests(`${name}.yaml`, text);
  expect(errors).toEqual([]);
  return manifests[0]!.object;
}

const revision = (object: CustomResource<unknown>) => revisionOf(object, () => "c".repeat(64));
const kinds = Object.keys(BEHAVIOURS);

describe.each(kinds)("%s", (kind) => {
  test.each([
    ["minimal", MINIMAL],
    ["full", FULL],
  ])("a %s one has the same revision in git and in the cluster", async (name, specs) => {
    const spec = pinned(specs[kind]!);
    const file = fromFile(kind, name, spec);
    const object = await fromCluster(kind, name, spec);
    expect(revision(file)).toMatch(/^[0-9a-f]{64}$/);
    expect(revision(object as unknown as CustomResource<unknown>)).toBe(revision(file));
    // Sent through the loader's defaults, as a Repository is applied, it does not change either.
    const applied = await fromCluster(kind, `${name}-applied`, file.spec);
    expect(revision(applied as unknown as CustomResource<unknown>)).toBe(revision(file));
  });

  test("minimal and full ones differ", () => {
    const of = (specs: typeof MINIMAL) => revision(fromFile(kind, "x", pinned(specs[kind]!)));
    expect(of(MINIMAL)).not.toBe(of(FULL));
  });
});
