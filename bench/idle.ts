/**
 * What a controller with 200 resources costs while nothing happens: CPU, memory, requests to the API server.
 * The default interval of a Repository and the probes of deployments go on. Prints one JSON line.
 *
 *   node bench/idle.ts [--seconds 60]
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startModelEndpoint } from "../test/model-endpoint.ts";
import { AuditLog } from "../test/scenario/audit.ts";
import { hasCondition, listObjects } from "../test/scenario/cluster.ts";
import { followRepository } from "../test/scenario/followed-repository.ts";
import { manyResources } from "../test/scenario/many-resources.ts";
import { waitFor } from "../test/scenario/wait.ts";
import { onCluster, progress } from "./harness.ts";
import { machine } from "./machine.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" } } });
const duration = Number(values.seconds ?? 60);
/** What is left to do after the last resource is Ready: events, garbage collection. */
const REST_MS = 15_000;

await onCluster(async () => {
  await using model = await startModelEndpoint({ record: false });
  await using team = await followRepository({
    files: manyResources(model.baseURL),
    interval: "1m",
    forge: false,
    leaderElection: true,
  });
  const kinds = ["PromptTemplate", "ModelDeployment", "EvalSuite"];
  progress("waiting for 200 resources");
  const ready = await waitFor(
    "200 resources that are Ready",
    async () =>
      (await Promise.all(kinds.map((kind) => listObjects(team.client, kind, team.namespace)))).flat(),
    (objects) => objects.length === 200 && objects.every((object) => hasCondition(object, "Ready")),
    { timeoutMs: 180_000, intervalMs: 1_000, show: (objects) => objects.length },
  );
  await sleep(REST_MS);
  const { controller } = team;
  const cpu = () => controller.metric("process_cpu_seconds_total");
  const reconciles = () => controller.metric("slipway_reconcile_total");
  const audit = await AuditLog.atEnd();
  const before = [await cpu(), await reconciles()] as const;
  progress(`${duration} s of nothing`);
  await sleep(duration * 1_000);
  const cpuSeconds = (await cpu()) - before[0];
  const requests = await audit.ofController();
  return {
    bench: "idle",
    unit: "s",
    resources: ready.length,
    seconds: duration,
    cpuSeconds: Number(cpuSeconds.toFixed(3)),
    cpuPercent: Number(((cpuSeconds / duration) * 100).toFixed(2)),
    rssMiB: Math.round((await controller.metric("process_resident_memory_bytes")) / 2 ** 20),
    heapMiB: Math.round((await controller.metric("nodejs_heap_size_used_bytes")) / 2 ** 20),
    reconciles: (await reconciles()) - before[1],
    requests: requests.length,
    ...machine(),
  };
});
