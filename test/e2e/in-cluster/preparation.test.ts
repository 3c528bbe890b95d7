import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster, stopCluster } from "../../../controller/dev/cluster.ts";
import { controllerImage } from "../../../controller/dev/images/controller-image.ts";
import { importLayers } from "../../../controller/dev/node/node.ts";
import { requireSystemPrograms } from "../../../controller/dev/node/programs.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { install, installObjects } from "../../../controller/install/objects.ts";
import { KubeClient } from "../../../controller/kube/client.ts";
import { Job, Namespace, Pod } from "../../../controller/kube/resources.ts";
import { createLogger } from "../../../controller/log.ts";
import { runController } from "../../../controller/main.ts";
import type { Dataset } from "../../../schemas/dataset.ts";
import { nodePossible } from "../../node-possible.ts";
import { applyObject, hasCondition, waitForObject } from "../../scenario/cluster.ts";
import { Kubectl } from "../../scenario/kubectl.ts";
import { manifest, yamlOf } from "../../scenario/manifests.ts";
import { waitFor } from "../../scenario/wait.ts";
import { type RowsServer, startRowsServer } from "../rows-server.ts";
import { readyOf } from "../tenant.ts";
import { digestOnLaptop } from "./laptop.ts";
import { startWorkGate, type WorkGate } from "./work-gate.ts";

const TEAM = "team-a";
const NAME = "preparation";

let stateDir: string;
let cluster: Cluster;
let client: KubeClient;
let server: RowsServer;
let gate: WorkGate;
let controller: Promise<void>;
const stop = new AbortController();

const dataset = (name: string, path: string, more: object = {}) =>
  manifest("Dataset", name, {
    format: "completion",
    sources: [{ name: "rows", url: `${server.url}/${path}` }],
    steps: [{ name: "dedup", type: "exactDedup" }],
    ...more,
  });
const apply = (object: ReturnType<typeof dataset>) => applyObject(client, TEAM, object);
const until = (name: string, what: string, wanted: (object: Dataset) => boolean) =>
  waitForObject<Dataset>(client, ["Dataset", TEAM, name], what, wanted, 120_000);
const said = (name: string, reason: string) =>
  until(name, `to say ${reason}`, (object) => readyOf(object)?.reason === reason);
const ready = (name: string) => until(name, "to be Ready", (object) => hasCondition(object, "Ready"));
const podsOf = async (name: string) =>
  (await client.list(Pod, { namespace: TEAM })).items.filter(({ metadata }) =>
    metadata.name.startsWith(`${name}-`),
  );

async function freePort(): Promise<number> {
  const probe = createTcpServer();
  await new Promise<void>((resolve) => probe.listen(0, "0.0.0.0", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

describe.skipIf(!nodePossible)("Datasets that are prepared in pods", () => {
  beforeAll(async () => {
    await requireSystemPrograms({ report: silent });
    stateDir = await mkdtemp(join(tmpdir(), "slipway-preparation-"));
    const options = { name: NAME, stateDir, report: silent };
    cluster = await startCluster({ ...options, provider: "local", node: true });
    await importLayers(cluster.node!.pid, await controllerImage(options));
    client = KubeClient.fromKubeconfig({ path: cluster.kubeconfigPath });
    await install(client, await installObjects({ tenants: [] }), AbortSignal.timeout(60_000));
    await client.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: TEAM } });
    server = await startRowsServer();
    const [host, port] = [cluster.node!.network.hostIP, await freePort()];
    gate = await startWorkGate(host, `http://${host}:${port}`);
    controller = runController(
      {
        kubeconfig: cluster.kubeconfigPath,
        stateDir: join(stateDir, "controller"),
        host,
        port,
        workUrl: gate.url,
        prepareInProcessBytes: 0,
        leaderElection: false,
        log: createLogger(process.env.SLIPWAY_LOG_LEVEL ?? "silent"),
      },
      stop.signal,
    );
  });
  afterAll(async () => {
    stop.abort(new Error("the test is over"));
    await controller?.catch(() => {});
    await gate?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await client?.close();
    await stopCluster({ name: NAME, stateDir, report: silent });
    await rm(stateDir, { recursive: true, force: true });
  });

  test("come to the digest that a laptop comes to, and leave no Job behind", async () => {
    const object = dataset("rows", "rows.jsonl");
    await apply(object);
    const { status } = await ready("rows");
    expect(status).toMatchObject({ read: 400, artifact: { rows: 400 }, work: { attempt: 1 } });
    const here = await digestOnLaptop(stateDir, { "dataset.yaml": yamlOf(object) }, "rows");
    expect(status?.artifact?.digest).toBe(here);
    await waitFor(
      "the Job to be gone",
      async () => (await client.list(Job, { namespace: TEAM })).items,
      (jobs) => jobs.length === 0,
    );
  });

  test("are shown by kubectl get as their Job, their pod and what it reports are, in each phase", async () => {
    const kubectl = new Kubectl(cluster.kubeconfigPath, TEAM);
    /** What kubectl prints, with what is so at that moment: both as they were when it was asked again. */
    const shown = async (name: string, reason: string) => {
      const look = async () => {
        const { AGE: _, ...row } = await kubectl.row("dset", name);
        const jobs = (await client.list(Job, { namespace: TEAM })).items;
        const job = jobs.find(({ metadata }) => metadata.name.startsWith(`${name}-`));
        const pods = (await podsOf(name)).map(({ metadata, status }) => ({
          name: metadata.name,
          phase: (status as { phase: string }).phase,
        }));
        return { row, active: (job?.status as { active?: number } | undefined)?.active, pods };
      };
      const { now } = await waitFor(
        `${name} to be shown as ${reason}`,
        async () => ({ now: await look(), again: await look() }),
        (seen) => seen.now.row.REASON === reason && isDeepStrictEqual(seen.now, seen.again),
        { timeoutMs: 60_000 },
      );
      return now;
    };

    await apply(dataset("homeless", "rows.jsonl", { pod: { nodeSelector: { no: "such" } } }));
    const homeless = await shown("homeless", "Unschedulable");
    expect(homeless).toMatchObject({
      row: { READY: "False", ROWS: "", PROGRESS: "" },
      active: 1,
      pods: [{ phase: "Pending" }],
    });

    gate.hold("GET");
    await apply(dataset("held", "rows.jsonl"));
    const preparing = async (phase: string) => {
      await waitFor(
        `the pod to be held while ${phase}`,
        () => gate.waiting > 0 && gate.progress?.phase === phase,
        (held) => held,
        { timeoutMs: 60_000 },
      );
      await until("held", "to know it", ({ status }) => isDeepStrictEqual(status?.progress, gate.progress));
      const { row, active, pods } = await shown("held", "Preparing");
      expect({ active, pods }).toMatchObject({ active: 1, pods: [{ phase: "Running" }] });
      expect(row).toMatchObject({ READY: "False", ROWS: "", PROGRESS: String(gate.progress?.percent) });
      const object = await until("held", "to be there", () => true);
      expect(readyOf(object)?.message).toBe(`${phase}, ${row.PROGRESS} %, in pod ${pods[0]?.name}`);
    };
    await preparing("Reading");
    gate.hold("PUT");
    await preparing("Preparing");
    gate.hold(undefined);
    const { status } = await ready("held");
    expect(await shown("held", "Prepared")).toMatchObject({
      row: { READY: "True", ROWS: "400", PROGRESS: "", ARTIFACT: status?.artifact?.digest },
      active: undefined,
    });
  });

  test("go on in another pod when one is lost", async () => {
    await apply(dataset("lost", "long.jsonl"));
    const [pod] = await waitFor(
      "a pod",
      () => podsOf("lost"),
      (pods) => pods.length > 0,
      { intervalMs: 20 },
    );
    await client.delete(Pod, TEAM, pod!.metadata.name);
    const { status } = await ready("lost");
    expect(status?.artifact?.rows).toBe(400);
  });

  test("name pod and reason when the memory, the image or the rows are at fault", async () => {
    const limits = (memory: string) => ({ pod: { resources: { limits: { memory } } } });
    await apply(dataset("small", "rows.jsonl", limits("24Mi")));
    await apply(dataset("image", "rows.jsonl", { pod: { image: "localhost/no-such:1" } }));
    await apply(dataset("broken", "broken.jsonl"));
    const image = await said("image", "ImagePullFailed");
    expect(readyOf(image)?.message).toMatch(/^pod image-[0-9a-f]{12}-\w+ cannot get its image/);
    const small = await said("small", "OutOfMemory");
    expect(readyOf(small)?.message).toMatch(/^pod small-[0-9a-f]{12}-\w+ was killed by the kernel/);
    const broken = await until("broken", "to be Stalled", (object) => hasCondition(object, "Stalled"));
    expect(readyOf(broken)?.message).toMatch(
      /^pod broken-\S+: 1 bad rows: broken\.jsonl:2: the line is not JSON/,
    );
    for (const { status } of [image, small, broken]) expect(status?.artifact).toBeUndefined();
    // The data is at fault: no other pod tries.
    expect(await podsOf("broken")).toHaveLength(1);

    await apply(dataset("image", "rows.jsonl"));
    await ready("image");
  });
});
