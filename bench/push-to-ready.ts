/**
 * From `git push` until a client that only watches sees all pushed objects Ready at the revisions that their
 * manifests have. Each push changes 10 prompts; a webhook tells the controller. Prints one JSON line, in seconds.
 *
 *   node bench/push-to-ready.ts [--pushes 20] [--objects 10]
 */
import { parseArgs } from "node:util";
import { parseManifests } from "../controller/gitops/manifest.ts";
import { buildGraph } from "../controller/graph/graph.ts";
import { PROMPT_TEMPLATE } from "../controller/kinds/types.ts";
import { type Informer, startInformer } from "../controller/kube/informer.ts";
import { objectKey } from "../controller/kube/resources.ts";
import { createLogger } from "../controller/log.ts";
import type { PromptTemplate } from "../schemas/prompt-template.ts";
import { adminClient, hasCondition } from "../test/scenario/cluster.ts";
import { followRepository } from "../test/scenario/followed-repository.ts";
import { promptManifest, yamlOf } from "../test/scenario/manifests.ts";
import { onCluster, percentile, progress, seconds } from "./harness.ts";
import { machine } from "./machine.ts";

const { values } = parseArgs({ options: { pushes: { type: "string" }, objects: { type: "string" } } });
const pushes = Number(values.pushes ?? 20);
const objects = Number(values.objects ?? 10);
const TIMEOUT_MS = 60_000;
const TARGET = { p50: 2, max: 5 };

await onCluster(async () => {
  await using team = await followRepository({ files: filesOf(0), interval: "10m", forge: true });
  const client = adminClient();
  const watcher = startInformer(client, PROMPT_TEMPLATE, {
    namespace: team.namespace,
    log: createLogger("error"),
  });
  try {
    await watcher.store.synced;
    const expected = expectedRevisions(0);
    await seen(watcher, team.namespace, expected);
    const fromStart: number[] = [];
    const fromEnd: number[] = [];
    const { load } = machine();
    for (let round = 1; round <= pushes; round++) {
      let started = 0;
      const awaited = seen(watcher, team.namespace, expectedRevisions(round));
      await team.git.commitFiles("main", filesOf(round), `Change ${objects} prompts, ${round}`, {
        onPush: () => {
          started = performance.now();
        },
      });
      const pushed = performance.now();
      const ready = await awaited;
      fromStart.push(ready - started);
      fromEnd.push(ready - pushed);
      progress(
        `push ${round}: ${seconds(ready - started)} s, of which after the push ${seconds(ready - pushed)} s`,
      );
    }
    const p50 = seconds(percentile(fromStart, 0.5));
    const max = seconds(Math.max(...fromStart));
    return {
      bench: "push-to-ready",
      unit: "s",
      n: pushes,
      objects,
      p50,
      p95: seconds(percentile(fromStart, 0.95)),
      max,
      target: TARGET,
      met: p50 <= TARGET.p50 && max <= TARGET.max,
      fromPushEnd: {
        p50: seconds(percentile(fromEnd, 0.5)),
        p95: seconds(percentile(fromEnd, 0.95)),
        max: seconds(Math.max(...fromEnd)),
      },
      ...machine(),
      loadBefore: load,
    };
  } finally {
    await watcher.stop();
    await client.close();
  }
});

function filesOf(round: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: objects }, (_, i) => [
      `prompts/prompt-${i}.yaml`,
      yamlOf(promptManifest(`prompt-${i}`, `Round ${round}. Answer briefly: {{ticket}}`)),
    ]),
  );
}

/** By name, from the manifests alone: what the controller says of itself is not asked. */
function expectedRevisions(round: number): Map<string, string> {
  const manifests = Object.entries(filesOf(round)).flatMap(([file, text]) => {
    const parsed = parseManifests(file, text);
    if (parsed.errors.length > 0) throw new Error(`${file}: ${parsed.errors[0]?.message}`);
    return parsed.manifests.map(({ object }) => object);
  });
  const { nodes } = buildGraph(manifests);
  return new Map([...nodes.values()].map(({ name, revision }) => [name, revision ?? "unresolved"]));
}

/** Resolves with the time at which the watcher's store first held all of them Ready at their revisions. */
function seen(watcher: Informer, namespace: string, expected: Map<string, string>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const waiting = () =>
    [...expected].filter(([name, revision]) => {
      const object = watcher.store.get(objectKey(namespace, name)) as PromptTemplate | undefined;
      return !(object?.status?.revision === revision && hasCondition(object, "Ready"));
    });
  const look = () => {
    if (waiting().length === 0) resolve(performance.now());
  };
  const unsubscribe = watcher.store.subscribe(look);
  const timer = setTimeout(() => {
    const names = waiting().map(([name]) => name);
    reject(new Error(`after ${TIMEOUT_MS / 1_000} s not Ready as pushed: ${names.join(", ")}`));
  }, TIMEOUT_MS);
  look();
  return promise.finally(() => {
    clearTimeout(timer);
    unsubscribe();
  });
}
