import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { SlipwayError } from "../../errors.ts";
import { controlPlaneBinaries } from "../binaries.ts";
import { type CacheOptions, cached, digestFiles } from "../cache.ts";
import type { Cluster } from "../cluster.ts";
import { goBuild, goInputs } from "../go-build.ts";
import { buildModule } from "../paths.ts";
import { startInside } from "./namespace.ts";
import { until } from "./node.ts";

const run = promisify(execFile);

/** Pinned by `build/metrics-server/go.mod`. */
export const METRICS_SERVER_VERSION = "0.8.0";

const BUILD = {
  variables: [`k8s.io/client-go/pkg/version.gitVersion=v${METRICS_SERVER_VERSION}`],
};
const PORT = 4_443;
/** It answers after two readings. */
const READY_TIMEOUT_MS = 120_000;

/** Its releases have images only: from the cache, else compiled from Go modules. */
async function metricsServerBinary(options: CacheOptions): Promise<string> {
  const module = buildModule("metrics-server");
  const files = ["go.mod", "go.sum"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs(BUILD));
  const artifact = { name: "metrics-server", version: METRICS_SERVER_VERSION, inputs };
  const folder = await cached(artifact, options, async (draft) => {
    await goBuild({
      ...options,
      ...BUILD,
      title: `metrics-server ${METRICS_SERVER_VERSION}`,
      module,
      pkg: "sigs.k8s.io/metrics-server/cmd/metrics-server",
      owner: draft,
      output: join(draft, "metrics-server"),
    });
  });
  return join(folder, "metrics-server");
}

/**
 * Gives a local cluster with a node the API `metrics.k8s.io`, which HorizontalPodAutoscalers and `kubectl top` read:
 * Kubernetes' metrics-server, beside the kubelet that it asks. It ends with the cluster.
 */
export async function startMetricsServer(
  { node, kubeconfigPath }: Pick<Cluster, "node" | "kubeconfigPath">,
  options: CacheOptions,
): Promise<void> {
  if (!node) throw new SlipwayError("NodeUnavailable", "metrics of pods need a cluster with a local node");
  const program = await metricsServerBinary(options);
  const folder = dirname(kubeconfigPath);
  const asAdmin = ["", "authentication-", "authorization-"].map(
    (use) => `--${use}kubeconfig=${kubeconfigPath}`,
  );
  await startInside(node, {
    folder,
    name: "metrics-server",
    program,
    args: [
      ...asAdmin,
      `--bind-address=${node.network.nodeIP}`,
      `--secure-port=${PORT}`,
      "--cert-dir=certs/metrics-server",
      "--kubelet-preferred-address-types=InternalIP",
      // The kubelet signs its certificate itself.
      "--kubelet-insecure-tls",
      // The least that it takes, and less than which one answer must take.
      "--metric-resolution=10s",
      "--kubelet-request-timeout=5s",
    ],
  });
  const kubectl = join(await controlPlaneBinaries(options), "kubectl");
  const objects = join(folder, "metrics-objects.yaml");
  await writeFile(
    objects,
    objectsAt(node.network.nodeIP)
      .map((object) => stringify(object))
      .join("---\n"),
  );
  const env = { ...process.env, KUBECACHEDIR: join(folder, "kubectl-cache") };
  const call = (...args: string[]) => run(kubectl, [`--kubeconfig=${kubeconfigPath}`, ...args], { env });
  await call("apply", "-f", objects);
  await until("metrics-server", { ...options, timeoutMs: READY_TIMEOUT_MS }, () =>
    call("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"),
  );
}

/** How the API server finds it: an API of a Service whose only endpoint is no pod. */
function objectsAt(address: string): object[] {
  const metadata = { name: "metrics-server", namespace: "kube-system" };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { ports: [{ name: "https", port: 443, targetPort: PORT, protocol: "TCP" }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, labels: { "kubernetes.io/service-name": metadata.name } },
      addressType: "IPv4",
      ports: [{ name: "https", port: PORT, protocol: "TCP" }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1beta1.metrics.k8s.io" },
      spec: {
        group: "metrics.k8s.io",
        version: "v1beta1",
        service: { name: metadata.name, namespace: metadata.namespace },
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    },
  ];
}
