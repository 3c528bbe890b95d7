/**
 * From a change that somebody makes by hand to what the controller manages, until it is as before again, as seen
 * by a client that only watches. Prints one JSON line, in seconds.
 *
 *   node bench/drift.ts [--repetitions 100]
 */
import { parseArgs } from "node:util";
import { canonicalJson } from "../controller/graph/canonical.ts";
import { PROMPT_TEMPLATE } from "../controller/kinds/types.ts";
import { type Informer, startInformer } from "../controller/kube/informer.ts";
import { ConfigMap, type KubeObject, objectKey, type ResourceType } from "../controller/kube/resources.ts";
import { createLogger } from "../controller/log.ts";
import { adminClient } from "../test/scenario/cluster.ts";
import { followRepository } from "../test/scenario/followed-repository.ts";
import { promptManifest, yamlOf } from "../test/scenario/manifests.ts";
import { onCluster, percentile, progress, seconds } from "./harness.ts";
import { machine } from "./machine.ts";

const { values } = parseArgs({ options: { repetitions: { type: "string" } } });
const repetitions = Number(values.repetitions ?? 100);
const PROMPTS = 10;
const TIMEOUT_MS = 60_000;
const TARGET_P99 = 1;
/** Long enough that the controller has done what followed from the last repair. */
const PAUSE_MS = 200;

const merge = { contentType: "application/merge-patch+json", fieldManager: "somebody" } as const;

await onCluster(async () => {
  const files = Object.fromEntries(
    Array.from({ length: PROMPTS }, (_, i) => [
      `prompt-${i}.yaml`,
      yamlOf(promptManifest(`prompt-${i}`, "Answer briefly: {{ticket}}")),
    ]),
  );
  await using team = await followRepository({ files, interval: "10m", forge: false });
  const { namespace } = team;
  const client = adminClient();
  const log = createLogger("error");
  const watchers = new Map([
    [ConfigMap, startInformer(client, ConfigMap, { namespace, log })],
    [PROMPT_TEMPLATE, startInformer(client, PROMPT_TEMPLATE, { namespace, log })],
  ]);

  const drifts: { what: string; type: ResourceType; make: (name: string) => Promise<unknown> }[] = [
    {
      what: "ConfigMap edited",
      type: ConfigMap,
      make: (name) => client.patch(ConfigMap, namespace, name, { data: { revision: "mine" } }, merge),
    },
    {
      what: "ConfigMap deleted",
      type: ConfigMap,
      make: (name) => client.delete(ConfigMap, namespace, name),
    },
    {
      what: "PromptTemplate edited",
      type: PROMPT_TEMPLATE,
      make: (name) =>
        client.patch(PROMPT_TEMPLATE, namespace, name, { spec: { parameters: { maxTokens: 9 } } }, merge),
    },
    {
      what: "PromptTemplate deleted",
      type: PROMPT_TEMPLATE,
      make: (name) => client.delete(PROMPT_TEMPLATE, namespace, name),
    },
  ];

  try {
    for (const { store } of watchers.values()) await store.synced;
    const { load } = machine();
    const repairs: { what: string; took: number }[] = [];
    for (let round = 0; round < repetitions; round++) {
      const drift = drifts[round % drifts.length]!;
      const name = `prompt-${Math.floor(round / drifts.length) % PROMPTS}`;
      const watcher = watchers.get(drift.type)!;
      const before = await settled(watcher, namespace, name);
      const repaired = seenRepaired(watcher, before, drift.what);
      const started = performance.now();
      await drift.make(name);
      const took = (await repaired) - started;
      repairs.push({ what: drift.what, took });
      progress(`${drift.what}, ${name}: ${seconds(took)} s`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    const all = repairs.map(({ took }) => took);
    const p99 = seconds(percentile(all, 0.99));
    return {
      bench: "drift",
      unit: "s",
      n: repetitions,
      p50: seconds(percentile(all, 0.5)),
      p95: seconds(percentile(all, 0.95)),
      p99,
      max: seconds(Math.max(...all)),
      target: { p99: TARGET_P99 },
      met: p99 <= TARGET_P99,
      p50Of: Object.fromEntries(
        [...Map.groupBy(repairs, ({ what }) => what)].map(([what, list]) => [
          what,
          seconds(
            percentile(
              list.map(({ took }) => took),
              0.5,
            ),
          ),
        ]),
      ),
      ...machine(),
      loadBefore: load,
    };
  } finally {
    await Promise.all([...watchers.values()].map((watcher) => watcher.stop()));
    await client.close();
  }
});

/** What the object says, without what the API server counts. */
function contentOf({ data, spec }: KubeObject): string {
  return canonicalJson({ data, spec } as never);
}

/** The object once the watcher has it. */
async function settled(watcher: Informer, namespace: string, name: string): Promise<KubeObject> {
  const until = performance.now() + TIMEOUT_MS;
  for (;;) {
    const object = watcher.store.get(objectKey(namespace, name));
    if (object) return object;
    if (performance.now() > until) throw new Error(`there is no ${namespace}/${name}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves with the time at which the watcher showed the object as before, after having shown it otherwise. */
function seenRepaired(watcher: Informer, before: KubeObject, what: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const { name } = before.metadata;
  let drifted = false;
  const unsubscribe = watcher.store.subscribe((old, now) => {
    if ((now ?? old)?.metadata.name !== name) return;
    if (!now || contentOf(now) !== contentOf(before)) drifted = true;
    else if (drifted) resolve(performance.now());
  });
  const timer = setTimeout(
    () => reject(new Error(`after ${TIMEOUT_MS / 1_000} s not repaired: ${what}, ${name}`)),
    TIMEOUT_MS,
  );
  return promise.finally(() => {
    clearTimeout(timer);
    unsubscribe();
  });
}
