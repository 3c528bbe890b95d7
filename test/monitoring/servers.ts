import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { debianProgram } from "../../controller/dev/debian-program.ts";
import { silent } from "../../controller/dev/progress.ts";
import { freePort } from "../free-port.ts";
import { waitFor } from "../scenario/wait.ts";

/** A real monitoring system of Debian's package, on loopback. */
export interface MonitoringServer extends AsyncDisposable {
  readonly url: string;
  /** `host:port`, as it stands in a Secret's allowed hosts. */
  readonly host: string;
}

/**
 * Prometheus that scrapes these addresses each second.
 * @param ruleFiles what it evaluates, each second as well
 */
export function startPrometheus(
  targets: readonly { readonly job: string; readonly host: string; readonly labels?: object }[],
  ruleFiles: readonly string[] = [],
): Promise<MonitoringServer> {
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ruleFiles,
    scrape_configs: targets.map(({ job, host, labels = {} }) => ({
      job_name: job,
      static_configs: [{ targets: [host], labels }],
    })),
  };
  return start("prometheus", JSON.stringify(config), (folder, port) => [
    `--config.file=${join(folder, "config.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
}

/** Alertmanager that keeps what it is sent. */
export function startAlertmanager(): Promise<MonitoringServer> {
  const config = { route: { receiver: "none", group_wait: "1s" }, receivers: [{ name: "none" }] };
  return start("prometheus-alertmanager", JSON.stringify(config), (folder, port) => [
    `--config.file=${join(folder, "config.yml")}`,
    `--storage.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ]);
}

/** What promtool, of the same package, says of files with rules. @throws Error with its words where it refuses one */
export async function checkRules(files: readonly string[]): Promise<string> {
  const promtool = join(dirname(await debianProgram("prometheus", { report: silent })), "promtool");
  const { stdout } = await promisify(execFile)(promtool, ["check", "rules", "--lint-fatal", ...files]);
  return stdout;
}

async function start(
  name: "prometheus" | "prometheus-alertmanager",
  config: string,
  args: (folder: string, port: number) => string[],
): Promise<MonitoringServer> {
  const program = await debianProgram(name, { report: silent });
  const folder = await mkdtemp(join(tmpdir(), `slipway-${name}-`));
  const port = await freePort();
  // JSON is YAML.
  await writeFile(join(folder, "config.yml"), config);
  const log = openSync(join(folder, "log"), "w");
  const child = spawn(program, args(folder, port), { stdio: ["ignore", log, log] });
  closeSync(log);
  const url = `http://127.0.0.1:${port}`;
  const close = async () => {
    await stop(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(
      `${name} to be ready`,
      async () => (await fetch(`${url}/-/ready`)).status,
      (status) => status === 200,
      { context: () => readFile(join(folder, "log"), "utf8"), timeoutMs: 60_000 },
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { url, host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
