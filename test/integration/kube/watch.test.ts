import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { KubeClient } from "../../../controller/kube/client.ts";
import { loadConnection } from "../../../controller/kube/credentials.ts";
import { startInformer } from "../../../controller/kube/informer.ts";
import {
  ConfigMap,
  CustomResourceDefinition,
  type KubeObject,
  type ResourceType,
} from "../../../controller/kube/resources.ts";
import { createLogger } from "../../../controller/log.ts";
import { kubeconfigPath, type TestNamespace, testNamespace } from "./cluster.ts";

const log = createLogger("silent");
let test: TestNamespace;
beforeAll(async () => {
  test = await testNamespace();
});
afterAll(() => test[Symbol.asyncDispose]());

type StreamOptions = NonNullable<Parameters<KubeClient["stream"]>[1]>;

/** The real server behind a client whose watches can be cut off, and sent back in time. */
class Faulty extends KubeClient {
  readonly watches: { resourceVersion: string; body: { destroy(): void } }[] = [];
  lists = 0;
  /** Before the next watch is opened. */
  rewindTo: string | undefined;

  static open(): Faulty {
    return new Faulty(loadConnection({ path: kubeconfigPath() }));
  }

  override list(...args: Parameters<KubeClient["list"]>): ReturnType<KubeClient["list"]> & Promise<never> {
    this.lists++;
    return super.list(...args) as ReturnType<KubeClient["list"]> & Promise<never>;
  }

  override async stream(path: string, options: StreamOptions = {}) {
    const query = { ...options.query };
    if (this.rewindTo) query.resourceVersion = this.rewindTo;
    this.rewindTo = undefined;
    const body = await super.stream(path, { ...options, query });
    this.watches.push({ resourceVersion: String(query.resourceVersion), body });
    return body;
  }
}

function map(name: string, data: Record<string, string>): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: test.namespace }, data };
}

async function customType(client: KubeClient): Promise<ResourceType> {
  const group = `${test.namespace}.example.com`;
  const type = { group, version: "v1", kind: "Widget", plural: "widgets", namespaced: true };
  await client.create(CustomResourceDefinition, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind: "Widget", plural: "widgets" },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } },
      ],
    },
  });
  return type;
}

async function started(client: KubeClient, labelSelector: string) {
  const informer = startInformer(client, ConfigMap, { namespace: test.namespace, labelSelector, log });
  const changes: string[] = [];
  informer.store.subscribe((before, after) => {
    const data = (object: KubeObject | undefined) => (object?.data as { v?: string } | undefined)?.v ?? "-";
    changes.push(`${(after ?? before)?.metadata.name} ${data(before)}>${data(after)}`);
  });
  await informer.store.synced;
  return { ...informer, changes };
}

async function put(name: string, v: string, set: string): Promise<void> {
  const object = map(name, { v });
  object.metadata.labels = { set };
  await test.client.apply(ConfigMap, object, { fieldManager: "test" });
}

describe("an informer on the real server", () => {
  it("follows what happens", async () => {
    await put("f1", "1", "follow");
    const informer = await started(test.client, "set=follow");
    await put("f1", "2", "follow");
    await put("f2", "1", "follow");
    await test.client.delete(ConfigMap, test.namespace, "f1");
    await vi.waitFor(() => expect(informer.changes).toEqual(["f1 ->1", "f1 1>2", "f2 ->1", "f1 2>-"]));
    expect(informer.store.list(test.namespace).map((object) => object.metadata.name)).toEqual(["f2"]);
    await informer.stop();
  });

  it("goes on after a cut connection where it was, without a list, and misses nothing", async () => {
    const client = Faulty.open();
    const informer = await started(client, "set=cut");
    await put("c1", "1", "cut");
    await vi.waitFor(() => expect(informer.changes).toEqual(["c1 ->1"]));
    client.watches[0]!.body.destroy();
    await put("c1", "2", "cut");
    await test.client.delete(ConfigMap, test.namespace, "c1");
    await vi.waitFor(() => expect(informer.changes).toEqual(["c1 ->1", "c1 1>2", "c1 2>-"]), 5_000);
    expect(client.lists).toBe(1);
    await informer.stop();
    await client.close();
  });

  it("lists again after the server's 410 and reports what vanished in the gap", async () => {
    // The watch cache of a type that has just been made knows nothing from before.
    const type = await customType(test.client);
    const put = (name: string) => {
      const metadata = { name, namespace: test.namespace };
      return test.client.apply<KubeObject>(
        type,
        { apiVersion: "", kind: "", metadata },
        { fieldManager: "test" },
      );
    };
    await vi.waitFor(() => put("g1"), 10_000);
    await put("g2");
    const client = Faulty.open();
    const informer = startInformer(client, type, { namespace: test.namespace, log });
    const changes: string[] = [];
    informer.store.subscribe((before, after) => {
      changes.push(
        `${after ? (before ? "changed" : "added") : "deleted"} ${(after ?? before)?.metadata.name}`,
      );
    });
    await vi.waitFor(() => expect(client.watches).toHaveLength(1));
    expect(changes.sort()).toEqual(["added g1", "added g2"]);
    client.rewindTo = "1";
    client.watches[0]!.body.destroy();
    await test.client.delete(type, test.namespace, "g1");
    await put("g3");
    await vi.waitFor(() => expect(client.watches).toHaveLength(3), 5_000);
    await vi.waitFor(() =>
      expect(changes.sort()).toEqual(["added g1", "added g2", "added g3", "deleted g1"]),
    );
    expect(client.watches[1]!.resourceVersion).toBe("1");
    expect(client.lists).toBe(2);
    await informer.stop();
    await client.close();
    await test.client.delete(CustomResourceDefinition, undefined, `${type.plural}.${type.group}`);
  }, 20_000);

  it("reads more objects than fit one page", async () => {
    const names = Array.from({ length: 520 }, (_, i) => `p${i}`);
    for (let i = 0; i < names.length; i += 20) {
      await Promise.all(names.slice(i, i + 20).map((name) => put(name, "1", "pages")));
    }
    const client = Faulty.open();
    const informer = await started(client, "set=pages");
    expect(informer.store.size).toBe(520);
    expect(client.lists).toBe(2);
    await informer.stop();
    await client.close();
  }, 30_000);
});
