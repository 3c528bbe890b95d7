import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Companion, startCompanion } from "../../dev/companions.ts";
import { debianProgram } from "../../dev/debian-program.ts";
import type { Report } from "../../dev/progress.ts";

/** Alertmanager of Debian's package, which keeps what it is sent and tells nobody. @param folder of the demo */
export async function startAlertmanager(
  folder: string,
  { report, signal }: { readonly report: Report; readonly signal: AbortSignal },
): Promise<Companion> {
  const program = await debianProgram("prometheus-alertmanager", { report, signal });
  const data = join(folder, "alertmanager");
  await mkdir(data, { recursive: true });
  const config = join(data, "config.yml");
  // JSON is YAML.
  await writeFile(config, JSON.stringify({ route: { receiver: "none" }, receivers: [{ name: "none" }] }));
  const args = (port: number) => [
    `--config.file=${config}`,
    `--storage.path=${join(data, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ];
  const command = { name: "alertmanager", command: [program], args, readyPath: "/-/ready" } as const;
  return startCompanion({ folder, ...command, report, signal });
}

/** The labels of the first alert about a Monitor that fires, one a line; undefined when there is none. */
export async function firingAlert(
  url: string,
  monitor: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const query = new URLSearchParams({ active: "true", filter: `monitor="${monitor}"` });
  const response = await fetch(`${url}/api/v2/alerts?${query}`, { signal });
  if (!response.ok) return undefined;
  const [alert] = (await response.json()) as { labels: Record<string, string> }[];
  return alert && stringify(alert.labels);
}
