import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { z } from "zod";
import { SlipwayError } from "../errors.ts";
import { CONTROLLER_USER, FILES } from "./cluster-local.ts";
import { currentServer, formatKubeconfig, readKubeconfig } from "./kubeconfig.ts";
import type { Report } from "./progress.ts";

export type ContainerRuntime = "docker" | "podman";

/** Runs a program and answers its output; replaced in tests. */
export type Run = (program: string, args: readonly string[], options?: RunOptions) => Promise<string>;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const execute = promisify(execFile);

export const runProgram: Run = async (program, args, { env, timeoutMs, signal } = {}) => {
  const { stdout } = await execute(program, args, {
    env: { ...process.env, ...env },
    timeout: timeoutMs ?? 0,
    maxBuffer: 10_000_000,
    ...(signal && { signal }),
  });
  return stdout;
};

/** The container runtime that answers, Docker first; undefined when none does. */
export async function containerRuntime(run: Run = runProgram): Promise<ContainerRuntime | undefined> {
  for (const runtime of ["docker", "podman"] as const) {
    try {
      await run(runtime, ["info"], { timeoutMs: 10_000 });
      return runtime;
    } catch {
      // Not installed, or its daemon does not run.
    }
  }
  return undefined;
}

/** Whether the `kind` command is installed. */
export async function kindInstalled(run: Run = runProgram): Promise<boolean> {
  return run("kind", ["version"], { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

function kindEnvironment(runtime: ContainerRuntime): Record<string, string> {
  return { KIND_EXPERIMENTAL_PROVIDER: runtime };
}

/** Throws when a kind cluster of this name exists that Slipway did not make: it is the user's. */
export async function requireKindNameFree(
  name: string,
  runtime: ContainerRuntime,
  run: Run = runProgram,
): Promise<void> {
  const clusters = await run("kind", ["get", "clusters"], { env: kindEnvironment(runtime) });
  if (clusters.split("\n").some((line) => line.trim() === name)) {
    throw new SlipwayError("ClusterExists", `a kind cluster "${name}" exists that was not made by slipway`, {
      hint: "choose another --name, or use it as it is with --kubeconfig",
    });
  }
}

export interface KindOptions {
  readonly name: string;
  readonly runtime: ContainerRuntime;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
  readonly run?: Run;
}

const Users = z.object({ users: z.array(z.object({ user: z.record(z.string(), z.string()) })).min(1) });
const Authority = z.object({
  clusters: z.array(z.object({ cluster: z.object({ "certificate-authority-data": z.string() }) })).min(1),
});

/**
 * Creates a kind cluster and writes the administrator's and the controller's kubeconfigs to the state
 * folder. The controller's is a client certificate that the node's own kubeadm signs. Answers the URL.
 */
export async function startKind(folder: string, options: KindOptions): Promise<string> {
  const { name, runtime, report, signal, run = runProgram } = options;
  const admin = join(folder, FILES.admin);
  report(`kind: creating the cluster "${name}" with ${runtime}`);
  const create = ["create", "cluster", "--name", name, "--kubeconfig", admin, "--wait", "180s"];
  await run("kind", create, { env: kindEnvironment(runtime), signal });

  report("kind: credentials for the controller");
  const config = await readKubeconfig(admin);
  const server = currentServer(config);
  if (server === undefined) throw new SlipwayError("KubeconfigUnreadable", `${admin} has no current context`);
  const ca = Buffer.from(
    Authority.parse(config).clusters[0]!.cluster["certificate-authority-data"],
    "base64",
  );
  const write = (file: string, user: string, credentials: Record<string, string>) =>
    writeFile(
      join(folder, file),
      formatKubeconfig({ context: name, server, ca: ca.toString(), user, credentials }),
      { mode: 0o600 },
    );
  const kubeadm = [
    "kubeadm",
    "kubeconfig",
    "user",
    "--client-name",
    CONTROLLER_USER,
    "--config",
    "/kind/kubeadm.conf",
  ];
  const issued = await run(runtime, ["exec", `${name}-control-plane`, ...kubeadm], { signal });
  await write(FILES.controller, CONTROLLER_USER, Users.parse(parse(issued)).users[0]!.user);
  // The same context name whoever provides the cluster.
  await write(FILES.admin, "slipway-admin", Users.parse(config).users[0]!.user);
  return server;
}

/** Deletes a kind cluster made by {@link startKind}; not an error when it is gone. */
export async function deleteKind(
  name: string,
  runtime: ContainerRuntime,
  folder: string,
  run: Run = runProgram,
): Promise<void> {
  // A kubeconfig of its own, so that kind does not edit the user's.
  const args = ["delete", "cluster", "--name", name, "--kubeconfig", join(folder, "kind.kubeconfig")];
  await run("kind", args, { env: kindEnvironment(runtime) });
}
