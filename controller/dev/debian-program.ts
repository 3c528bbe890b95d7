import { execFile } from "node:child_process";
import { access, cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type CacheOptions, cached } from "./cache.ts";

const run = promisify(execFile);

/** Debian's packages of the monitoring systems, by the program that is wanted of each. */
const PACKAGES = { prometheus: "prometheus", "prometheus-alertmanager": "prometheus-alertmanager" } as const;

/**
 * The path of a program: the installed one, else that of Debian's package, unpacked into the cache. Nothing is
 * installed, so that no service starts.
 */
export async function debianProgram(name: keyof typeof PACKAGES, options: CacheOptions): Promise<string> {
  const installed = join("/usr/bin", name);
  if (await exists(installed)) return installed;
  const artifact = { name: `debian-${name}`, version: "bookworm", inputs: "1".repeat(12) };
  const folder = await cached(artifact, options, async (draft) => {
    options.report(`unpacking Debian's ${name}`);
    const download = () => run("apt-get", ["download", "-qq", PACKAGES[name]], { cwd: draft });
    // A fresh machine has no lists yet.
    await download().catch(() => run("apt-get", ["update", "-qq"]).then(download));
    await run("sh", ["-c", "dpkg-deb -x *.deb root && rm *.deb"], { cwd: draft });
  });
  if (name === "prometheus-alertmanager") await haveTemplates(folder);
  return join(folder, "root", "usr", "bin", name);
}

/** Debian's Alertmanager reads its own templates from where the package puts them, and from nowhere else. */
async function haveTemplates(folder: string): Promise<void> {
  const place = "/usr/share/prometheus/alertmanager";
  if (await exists(join(place, "default.tmpl"))) return;
  await mkdir(place, { recursive: true });
  await cp(join(folder, "root", place), place, { recursive: true });
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
