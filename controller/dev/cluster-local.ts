import { execFile } from "node:child_process";
import { generateKeyPairSync, randomBytes, randomInt } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { controlPlaneBinaries } from "./binaries.ts";
import { formatKubeconfig } from "./kubeconfig.ts";
import { NODE_NAME } from "./node/config.ts";
import { type NodeNamespace, type NodeNetwork, startInside, startNamespace } from "./node/namespace.ts";
import { startNode } from "./node/node.ts";
import { dnsBinary, nodeBinaries, requireSystemPrograms } from "./node/programs.ts";
import { probe } from "./probe.ts";
import {
  type Daemon,
  type DaemonSpec,
  startDaemon,
  stopDaemons,
  waitReady,
  withFreePort,
} from "./process.ts";
import type { Report } from "./progress.ts";

const run = promisify(execFile);

/** Users of the kubeconfigs; the controller's has no permission until someone grants it some. */
export const ADMIN_USER = "slipway-admin";
export const CONTROLLER_USER = "slipway-controller";

/** Files of a local cluster, in its state folder. */
export const FILES = {
  admin: "admin.kubeconfig",
  controller: "controller.kubeconfig",
  audit: "audit.log",
  node: "node.json",
} as const;

export interface ControlPlaneOptions {
  readonly name: string;
  /** Also starts a node; the API server is then in its network. */
  readonly node?: boolean | undefined;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** Slow machines get this long for each of the three programs. */
const READY_TIMEOUT_MS = 120_000;

/**
 * Who asked for what, for tests that count requests. Kubernetes' own controllers are left out; the
 * impersonated user is part of every event.
 */
const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    {
      level: "None",
      users: [
        "system:apiserver",
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:kube-proxy",
        "slipway-dns",
      ],
    },
    { level: "None", userGroups: ["system:serviceaccounts:kube-system", "system:nodes"] },
    { level: "None", nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"] },
    { level: "Metadata" },
  ],
};

/** What the control plane runs in: the host with a port of its own, or a node's namespaces. */
interface Place {
  readonly address: string;
  readonly port: number;
  readonly network?: NodeNetwork;
  readonly start: (spec: DaemonSpec) => Promise<Daemon>;
}

/**
 * Starts etcd, kube-apiserver and kube-controller-manager in an empty state folder and answers the API
 * server's URL. Without a node pods stay Pending. One TCP port is used (etcd listens on Unix sockets
 * in the private folder, the controller manager on nothing).
 */
export async function startControlPlane(folder: string, options: ControlPlaneOptions): Promise<string> {
  if (options.node) await requireSystemPrograms(options);
  const bin = await controlPlaneBinaries(options);
  const programs = options.node && { node: await nodeBinaries(options), dns: await dnsBinary(options) };
  const tokens = Object.fromEntries(Object.keys(USERS).map((who) => [who, token()])) as Tokens;
  await writeSecrets(folder, tokens);
  if (programs) {
    try {
      const namespace = await startNamespace(folder, options.name);
      await writeFile(join(folder, FILES.node), JSON.stringify(namespace), { mode: 0o600 });
      const { network } = namespace;
      const start = (spec: DaemonSpec) => startInside(namespace, spec);
      // Any port is free here. Another each time: kubectl keeps for hours what a server of that address had.
      const url = await startPrograms(
        folder,
        bin,
        { address: network.nodeIP, port: randomInt(10_000, 30_000), network, start },
        tokens,
        options,
      );
      await startNode({
        folder,
        namespace,
        programs: { ...programs, kubectl: bin },
        kubeconfigs: await nodeKubeconfigs(folder, url, tokens, options.name),
        clientCA: join(folder, "certs", "kubelet-ca.crt"),
        report: options.report,
        signal: options.signal,
      });
      return url;
    } catch (error) {
      await stopDaemons(folder);
      throw error;
    }
  }
  return withFreePort(async (port) => {
    try {
      return await startPrograms(
        folder,
        bin,
        { address: "127.0.0.1", port, start: startDaemon },
        tokens,
        options,
      );
    } catch (error) {
      await stopDaemons(folder);
      throw error;
    }
  });
}

/** The node of a cluster that has one. */
export async function nodeOf(folder: string): Promise<NodeNamespace | undefined> {
  const text = await readFile(join(folder, FILES.node), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as NodeNamespace);
}

async function nodeKubeconfigs(folder: string, server: string, tokens: Tokens, context: string) {
  const ca = await readFile(join(folder, "certs", "apiserver.crt"), "utf8");
  const write = async (who: keyof Tokens) => {
    const path = join(folder, `${who}.kubeconfig`);
    const user = USERS[who].name;
    const text = formatKubeconfig({ context, server, ca, user, credentials: { token: tokens[who] } });
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  return {
    admin: join(folder, FILES.admin),
    kubelet: await write("kubelet"),
    proxy: await write("proxy"),
    scheduler: await write("scheduler"),
    dns: await write("dns"),
  };
}

/** Whether the API server answers as ready, with its certificate verified. */
export async function apiReady(folder: string, url: string, bearer?: string): Promise<boolean> {
  const ca = await readFile(join(folder, "certs", "apiserver.crt"), "utf8").catch(() => undefined);
  if (ca === undefined) return false;
  return (await probe({ url: `${url}/readyz`, ca, token: bearer })) === 200;
}

/** Who may talk to the API server, by token. */
const USERS = {
  admin: { name: ADMIN_USER, group: "system:masters" },
  controller: { name: CONTROLLER_USER },
  manager: { name: "system:kube-controller-manager" },
  kubelet: { name: `system:node:${NODE_NAME}`, group: "system:nodes" },
  proxy: { name: "system:kube-proxy" },
  scheduler: { name: "system:kube-scheduler" },
  dns: { name: "slipway-dns" },
} as const satisfies Record<string, { readonly name: string; readonly group?: string }>;

type Tokens = Readonly<Record<keyof typeof USERS, string>>;

function token(): string {
  return randomBytes(24).toString("base64url");
}

async function writeSecrets(folder: string, tokens: Tokens): Promise<void> {
  const secret = { mode: 0o600 };
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await mkdir(join(folder, "certs"), { mode: 0o700 });
  await mkdir(join(folder, "plugins"), { mode: 0o700 });
  await writeFile(
    join(folder, "service-account.key"),
    privateKey.export({ type: "pkcs1", format: "pem" }),
    secret,
  );
  const users = Object.entries<{ readonly name: string; readonly group?: string }>(USERS).map(
    ([who, { name, group }]) =>
      [tokens[who as keyof Tokens], name, name, ...(group ? [`"${group}"`] : [])].join(","),
  );
  await writeFile(join(folder, "tokens.csv"), `${users.join("\n")}\n`, secret);
  await writeFile(join(folder, "audit-policy.yaml"), stringify(AUDIT_POLICY), secret);
}

async function startPrograms(
  folder: string,
  bin: string,
  place: Place,
  tokens: Tokens,
  { name, report, signal }: ControlPlaneOptions,
): Promise<string> {
  const daemons: Daemon[] = [];
  const start = async (program: string, args: string[]) => {
    signal?.throwIfAborted();
    report(`starting ${program}`);
    daemons.push(await place.start({ folder, name: program, program: join(bin, program), args }));
  };
  const ready = { daemons, folder, timeoutMs: READY_TIMEOUT_MS, report, signal };
  const url = `https://${place.address}:${place.port}`;

  await start("etcd", etcdArguments());
  if (place.network) await writeClients(folder);
  await start("kube-apiserver", apiServerArguments(place));
  await waitReady("the API server", ready, () => apiReady(folder, url, tokens.admin));

  // The serving certificate comes with the authority that signed it, made on this start.
  const ca = await readFile(join(folder, "certs", "apiserver.crt"), "utf8");
  const write = (file: string, user: string, bearer: string) =>
    writeFile(
      join(folder, file),
      formatKubeconfig({ context: name, server: url, ca, user, credentials: { token: bearer } }),
      { mode: 0o600 },
    );
  await write("controller-manager.kubeconfig", "system:kube-controller-manager", tokens.manager);
  await start("kube-controller-manager", controllerManagerArguments());
  // Without it pods are refused; it also shows that the controllers work.
  const account = `${url}/api/v1/namespaces/default/serviceaccounts/default`;
  await waitReady("the controllers", ready, async () => {
    return (await probe({ url: account, ca, token: tokens.admin })) === 200;
  });
  await write(FILES.admin, ADMIN_USER, tokens.admin);
  await write(FILES.controller, CONTROLLER_USER, tokens.controller);
  return url;
}

// All paths are relative to the state folder, which is the programs' working directory: Unix socket
// paths may not be longer than about 100 characters. The port in a socket's name only satisfies a check.
function etcdArguments(): string[] {
  return [
    "--name=default",
    "--data-dir=etcd",
    "--unsafe-no-fsync",
    "--listen-client-urls=unix://client:0",
    "--advertise-client-urls=unix://client:0",
    "--listen-peer-urls=unix://peer:0",
    "--initial-advertise-peer-urls=unix://peer:0",
    "--initial-cluster=default=unix://peer:0",
    "--log-level=warn",
  ];
}

function apiServerArguments({ address, port, network }: Place): string[] {
  return [
    "--etcd-servers=unix://client:0",
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${port}`,
    "--cert-dir=certs",
    "--token-auth-file=tokens.csv",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=service-account.key",
    "--service-account-signing-key-file=service-account.key",
    "--allow-privileged=true",
    "--audit-policy-file=audit-policy.yaml",
    `--audit-log-path=${FILES.audit}`,
    "--audit-log-maxsize=500",
    "--audit-log-maxbackup=1",
    "--profiling=false",
    ...(network
      ? [
          "--authorization-mode=Node,RBAC",
          "--enable-admission-plugins=NodeRestriction",
          `--service-cluster-ip-range=${network.serviceCIDR}`,
          "--kubelet-preferred-address-types=InternalIP",
          "--kubelet-client-certificate=certs/kubelet-client.crt",
          "--kubelet-client-key=certs/kubelet-client.key",
          // Who it says a user is, where it passes a request on to another API's server.
          "--proxy-client-cert-file=certs/front-proxy-client.crt",
          "--proxy-client-key-file=certs/front-proxy-client.key",
          "--requestheader-client-ca-file=certs/kubelet-ca.crt",
          `--requestheader-allowed-names=${FRONT_PROXY}`,
          "--requestheader-username-headers=X-Remote-User",
          "--requestheader-group-headers=X-Remote-Group",
          "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        ]
      : [
          "--authorization-mode=RBAC",
          "--service-cluster-ip-range=10.0.0.0/16",
          // A loopback address is not valid in the Endpoints of the service "kubernetes".
          "--endpoint-reconciler-type=none",
        ]),
  ];
}

const FRONT_PROXY = "front-proxy-client";

/** How the API server shows who it is to the kubelet, for logs and exec, and to servers of other APIs: tokens do not work in this direction. */
async function writeClients(folder: string): Promise<void> {
  const at = (name: string) => join(folder, "certs", name);
  const create = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const openssl = (name: string, ...args: string[]) =>
    run("openssl", [
      ...create,
      ...["-nodes", "-days", "3650"],
      ...args,
      ...["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`)],
    ]);
  await openssl("kubelet-ca", "-subj", "/CN=slipway-kubelet-ca");
  const clients = [
    ["kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"],
    [FRONT_PROXY, `/CN=${FRONT_PROXY}`],
  ] as const;
  for (const [name, subject] of clients) {
    await openssl(
      name,
      ...["-CA", at("kubelet-ca.crt"), "-CAkey", at("kubelet-ca.key"), "-subj", subject],
      ...["-addext", "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=critical,CA:false"],
    );
  }
}

function controllerManagerArguments(): string[] {
  return [
    "--kubeconfig=controller-manager.kubeconfig",
    "--secure-port=0",
    "--leader-elect=false",
    "--use-service-account-credentials",
    "--service-account-private-key-file=service-account.key",
    "--root-ca-file=certs/apiserver.crt",
    "--flex-volume-plugin-dir=plugins",
    // Volumes as folders of the host; without a node nobody asks for one.
    "--enable-hostpath-provisioner",
    // Namespaces with thousands of test objects go away in seconds instead of minutes.
    "--kube-api-qps=200",
    "--kube-api-burst=400",
    "--profiling=false",
  ];
}
