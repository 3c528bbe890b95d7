import { stringify } from "yaml";
import type { NodeNetwork } from "./namespace.ts";

export const NODE_NAME = "slipway-node";
/** The pause container's image, made here: no registry is asked. */
export const PAUSE_IMAGE = "slipway.local/pause:1";

/** containerd 1.6's configuration; /run is the node's own. */
export function containerdConfig(folder: string, cniBin: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Lowering a process's OOM score takes CAP_SYS_RESOURCE, which a container of one's own may lack.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniBin}"
    conf_dir = "${folder}/cni"
`;
}

/** A bridge for pods; the kernel routes between it and the host. */
export function cniConfig({ podCIDR }: NodeNetwork): string {
  return JSON.stringify({
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: "/run/cni",
          ranges: [[{ subnet: podCIDR }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}

/** The settings that a kubelet needs in a container: control groups of version 1, no limits on itself. */
export function kubeletConfig(network: NodeNetwork, clientCA: string): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: network.nodeIP,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: clientCA },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [network.nodeIP],
    clusterDomain: "cluster.local",
    resolvConf: "",
    // Images were brought here by hand and cannot be pulled again; the disk may be fuller than kubelet likes.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi" },
    readOnlyPort: 0,
    healthzBindAddress: "127.0.0.1",
    // Jobs and rollouts are seen within a second.
    nodeStatusUpdateFrequency: "10s",
    syncFrequency: "10s",
    shutdownGracePeriod: "0s",
  });
}

export function proxyConfig({ podCIDR, nodeIP }: NodeNetwork, kubeconfig: string): string {
  return stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    clusterCIDR: podCIDR,
    hostnameOverride: NODE_NAME,
    bindAddress: nodeIP,
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    clientConnection: { kubeconfig },
    // The host's connection tracking is not ours to resize.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    iptables: { minSyncPeriod: "100ms" },
  });
}

/** What pods resolve: services of the cluster, and the host under one name. */
export function corefile({ nodeIP, hostIP }: NodeNetwork, kubeconfig: string): string {
  return `.:53 {
  bind ${nodeIP}
  errors
  hosts {
    ${hostIP} ${HOST_NAME}
    fallthrough
  }
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig}
    ttl 1
  }
}
`;
}

/** The host, as pods may call it. */
export const HOST_NAME = "host.slipway.internal";
