import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { controlPlaneBinaries } from "./binaries.ts";
import { formatKubeconfig } from "./kubeconfig.ts";
import { probe } from "./probe.ts";
import { type Daemon, startDaemon, stopDaemons, waitReady, withFreePort } from "./process.ts";
import type { Report } from "./progress.ts";

/** Users of the kubeconfigs; the controller's has no permission until someone grants it some. */
export const ADMIN_USER = "slipway-admin";
export const CONTROLLER_USER = "slipway-controller";

/** Files of a local cluster, in its state folder. */
export const FILES = {
  admin: "admin.kubeconfig",
  controller: "controller.kubeconfig",
  audit: "audit.log",
} as const;

export interface ControlPlaneOptions {
  readonly name: string;
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
    { level: "None", users: ["system:apiserver", "system:kube-controller-manager"] },
    { level: "None", userGroups: ["system:serviceaccounts:kube-system"] },
    { level: "None", nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"] },
    { level: "Metadata" },
  ],
};

/**
 * Starts etcd, kube-apiserver and kube-controller-manager in an empty state folder and answers the API
 * server's URL. There is no node: pods stay Pending. One TCP port is used (etcd listens on Unix sockets
 * in the private folder, the controller manager on nothing).
 */
export async function startControlPlane(folder: string, options: ControlPlaneOptions): Promise<string> {
  const bin = await controlPlaneBinaries(options);
  const tokens = { admin: token(), controller: token(), manager: token() };
  await writeSecrets(folder, tokens);
  return withFreePort(async (port) => {
    try {
      return await startPrograms(folder, bin, port, tokens, options);
    } catch (error) {
      await stopDaemons(folder);
      throw error;
    }
  });
}

/** Whether the API server answers as ready, with its certificate verified. */
export async function apiReady(folder: string, url: string, bearer?: string): Promise<boolean> {
  const ca = await readFile(join(folder, "certs", "apiserver.crt"), "utf8").catch(() => undefined);
  if (ca === undefined) return false;
  return (await probe({ url: `${url}/readyz`, ca, token: bearer })) === 200;
}

type Tokens = Readonly<Record<"admin" | "controller" | "manager", string>>;

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
  const users = [
    `${tokens.admin},${ADMIN_USER},${ADMIN_USER},"system:masters"`,
    `${tokens.controller},${CONTROLLER_USER},${CONTROLLER_USER}`,
    `${tokens.manager},system:kube-controller-manager,system:kube-controller-manager`,
  ];
  await writeFile(join(folder, "tokens.csv"), `${users.join("\n")}\n`, secret);
  await writeFile(join(folder, "audit-policy.yaml"), stringify(AUDIT_POLICY), secret);
}

async function startPrograms(
  folder: string,
  bin: string,
  port: number,
  tokens: Tokens,
  { name, report, signal }: ControlPlaneOptions,
): Promise<string> {
  const daemons: Daemon[] = [];
  const start = async (program: string, args: string[]) => {
    signal?.throwIfAborted();
    report(`starting ${program}`);
    daemons.push(await startDaemon({ folder, name: program, program: join(bin, program), args }));
  };
  const ready = { daemons, folder, timeoutMs: READY_TIMEOUT_MS, report, signal };
  const url = `https://127.0.0.1:${port}`;

  await start("etcd", etcdArguments());
  await start("kube-apiserver", apiServerArguments(port));
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

function apiServerArguments(port: number): string[] {
  return [
    "--etcd-servers=unix://client:0",
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    "--cert-dir=certs",
    "--token-auth-file=tokens.csv",
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=service-account.key",
    "--service-account-signing-key-file=service-account.key",
    "--service-cluster-ip-range=10.0.0.0/16",
    "--allow-privileged=true",
    // A loopback address is not valid in the Endpoints of the service "kubernetes".
    "--endpoint-reconciler-type=none",
    "--audit-policy-file=audit-policy.yaml",
    `--audit-log-path=${FILES.audit}`,
    "--audit-log-maxsize=500",
    "--audit-log-maxbackup=1",
    "--profiling=false",
  ];
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
    // Namespaces with thousands of test objects go away in seconds instead of minutes.
    "--kube-api-qps=200",
    "--kube-api-burst=400",
    "--profiling=false",
  ];
}
