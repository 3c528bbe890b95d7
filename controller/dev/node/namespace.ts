import { execFile } from "node:child_process";
import { readdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { SlipwayError } from "../../errors.ts";
import { type Daemon, type DaemonSpec, startDaemon } from "../process.ts";
import { startTimeOf } from "../process-table.ts";

const run = promisify(execFile);

/**
 * Where a node lives: namespaces of its own for processes, mounts and the network. Killing its first process ends
 * everything in it, and with it go its mounts, its interfaces and its packet filter: nothing is left to clean.
 */
export interface NodeNamespace {
  /** Number of its first process, as the host sees it. */
  readonly pid: number;
  readonly network: NodeNetwork;
}

/** A pair of interfaces joins the node with the host; neither is reachable from outside. */
export interface NodeNetwork {
  /** The host as pods and the node reach it. */
  readonly hostIP: string;
  /** The node, and the API server, as the host reaches them. */
  readonly nodeIP: string;
  readonly podCIDR: string;
  readonly serviceCIDR: string;
}

/** Each node on this machine has a number, which makes its addresses. */
const MAX_NODES = 16;

export function networkOf(index: number): NodeNetwork {
  const link = 4 * index;
  return {
    hostIP: `172.31.240.${link + 1}`,
    nodeIP: `172.31.240.${link + 2}`,
    podCIDR: `10.${200 + index}.0.0/16`,
    serviceCIDR: `10.${216 + index}.0.0/16`,
  };
}

/**
 * What the first process does: /run and the control groups become the node's own, so that two nodes never share
 * them; then it reaps whatever loses its parent. A cpuset (version 1) holds nothing until it is told which CPUs. All
 * pods together weigh as much as one process of the host for each CPU, not as one alone.
 */
const INIT = `
set -e
mount -t tmpfs tmpfs /run
for hierarchy in /sys/fs/cgroup/*/; do
  [ -L "\${hierarchy%/}" ] && continue
  mine=$hierarchy$1
  mkdir -p "$mine"
  for file in cpuset.cpus cpuset.mems; do
    [ -f "$mine/$file" ] && cat "$hierarchy/$file" > "$mine/$file"
  done
  [ -f "$mine/cpu.shares" ] && echo $((1024 * $(nproc))) > "$mine/cpu.shares"
  echo $$ > "$mine/cgroup.procs"
  mount --bind "$mine" "$hierarchy"
done
exec unshare --cgroup bash -c 'trap : TERM; echo ready > "$1"; while :; do sleep 3600 & wait $!; done' node "$2"
`;

/** Makes the namespaces and the network between them and the host. */
export async function startNamespace(folder: string, name: string): Promise<NodeNamespace> {
  const unshare = [
    "--pid",
    "--fork",
    "--kill-child=SIGKILL",
    "--mount",
    "--mount-proc",
    "--net",
    "--uts",
    "--ipc",
  ];
  const daemon = await startDaemon({
    folder,
    name: "node",
    program: "unshare",
    args: [
      ...unshare,
      "--propagation=private",
      "bash",
      "-c",
      INIT,
      "node",
      cgroupOf(name),
      join(folder, "node.ready"),
    ],
  });
  const pid = await firstProcess(daemon, join(folder, "node.ready"));
  return { pid, network: await joinNetwork(pid) };
}

/** A daemon inside the node. It sees the host's files, apart from /run and what is mounted in the node. */
export function startInside({ pid }: NodeNamespace, spec: DaemonSpec): Promise<Daemon> {
  return startDaemon({
    ...spec,
    program: "nsenter",
    args: [`--target=${pid}`, "--all", `--wdns=${spec.folder}`, "--", spec.program, ...spec.args],
  });
}

/** Runs a command inside the node. */
export async function runInside(pid: number, program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run("nsenter", [`--target=${pid}`, "--all", "--", program, ...args], {
    maxBuffer: 16 << 20,
  });
  return stdout;
}

/** The number, on the host, of the process that became the node's first. */
async function firstProcess({ pid }: Daemon, ready: string): Promise<number> {
  for (let attempt = 0; attempt < 250; attempt++) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    const first = Number(children.trim().split(" ")[0]);
    if (first > 0 && (await readFile(ready).catch(() => undefined))) return first;
    await sleep(20);
  }
  throw new SlipwayError("NodeNotStarted", "the node's namespaces could not be made", {
    hint: "this needs root and a kernel that allows namespaces; see logs/node.log",
  });
}

async function joinNetwork(pid: number): Promise<NodeNetwork> {
  for (let index = 0; index < MAX_NODES; index++) {
    // An interface's name is taken by the first who asks, also where two nodes start at once.
    const link = `slipway${index}`;
    const made = await run("ip", [
      "link",
      "add",
      link,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(pid),
    ]).then(
      () => true,
      (error: unknown) => {
        if (String(error).includes("File exists")) return false;
        throw error;
      },
    );
    if (!made) continue;
    const network = networkOf(index);
    const { hostIP, nodeIP, podCIDR, serviceCIDR } = network;
    await run("ip", ["addr", "add", `${hostIP}/30`, "dev", link]);
    await run("ip", ["link", "set", link, "up"]);
    const inside = (...args: string[]) => runInside(pid, "ip", args);
    await inside("link", "set", "lo", "up");
    await inside("addr", "add", `${nodeIP}/30`, "dev", "eth0");
    await inside("link", "set", "eth0", "up");
    await inside("route", "add", "default", "via", hostIP);
    await runInside(pid, "sysctl", ["-q", "-w", "net.ipv4.ip_forward=1"]);
    for (const cidr of [podCIDR, serviceCIDR])
      await run("ip", ["route", "add", cidr, "via", nodeIP, "dev", link]);
    return network;
  }
  throw new SlipwayError("TooManyNodes", `${MAX_NODES} local nodes run already`, {
    hint: "stop one with: slipway dev down --name NAME",
  });
}

const CGROUPS = "/sys/fs/cgroup";

/** The node's control group, below each of the kernel's hierarchies. */
export function cgroupOf(name: string): string {
  return `slipway-node-${name}`;
}

/** The folder in which Kubernetes' controller manager makes volumes; in a node it is the cluster's own. */
export const VOLUMES = "/tmp/hostpath_pv";

/**
 * Removes what outlives a node's namespaces: empty control groups and an empty folder.
 * @param pid of the node's first process, which was killed: the kernel keeps it until the last one of its namespace
 *   has ended
 */
export async function removeNodeTraces(name: string, pid: number | undefined): Promise<void> {
  for (let attempt = 0; pid !== undefined && (await startTimeOf(pid)) !== undefined; attempt++) {
    if (attempt > 1200) throw new SlipwayError("NodeNotStopped", `process ${pid} of the node does not end`);
    await sleep(50);
  }
  let others = 0;
  for (const hierarchy of ["", ...(await readdir(CGROUPS).catch(() => []))]) {
    const folder = join(CGROUPS, hierarchy, cgroupOf(name));
    for (let attempt = 0; !(await removeTree(folder)); attempt++) {
      if (attempt > 100) throw new SlipwayError("NodeNotStopped", `processes are left in ${folder}`);
      await sleep(50);
    }
    const groups = await readdir(join(CGROUPS, hierarchy)).catch(() => []);
    others += groups.filter((group) => group.startsWith(cgroupOf(""))).length;
  }
  // Where another node has mounted its volumes there, removing the folder here would unmount them.
  if (others === 0) await rmdir(VOLUMES).catch(() => undefined);
}

/** A control group has no files that could be removed, only children. False while processes are in it. */
async function removeTree(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return true;
  for (const entry of entries) {
    if (entry.isDirectory() && !(await removeTree(join(folder, entry.name)))) return false;
  }
  return rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return true;
      if (error.code === "EBUSY") return false;
      throw error;
    },
  );
}
