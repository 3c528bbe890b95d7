import { access, cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { aptUpdate, debianFile, unpackDebian } from "./apt.ts";
import { type CacheOptions, cached } from "./cache.ts";

/** Debian's packages of the monitoring systems, by the program that is wanted of each. */
const PACKAGES = { prometheus: "prometheus", "prometheus-alertmanager": "prometheus-alertmanager" } as const;

/**
 * The path of a program: the installed one, else that of Debian's package, unpacked into the cache. Nothing is
 * installed, so that no service starts.
 */
export async function debianProgram(name: keyof typeof PACKAGES, options: CacheOptions): Promise<string> {
  const installed = join("/usr/bin", name);
  if (await exists(installed)) return installed;
  // A fresh machine has no lists yet, and old ones name files that are gone.
  const folder = await unpacked(name, options).catch(() =>
    aptUpdate(options).then(() => unpacked(name, options)),
  );
  if (name === "prometheus-alertmanager") await haveTemplates(folder);
  return join(folder, "root", "usr", "bin", name);
}

/** Known by the digest of the package's file: another release of Debian, or an update, is another folder. */
async function unpacked(name: keyof typeof PACKAGES, options: CacheOptions): Promise<string> {
  const { version, digest } = await debianFile(PACKAGES[name]);
  return cached({ name: `debian-${name}`, version, inputs: digest }, options, (draft) => {
    options.report(`unpacking Debian's ${name} ${version}`);
    return unpackDebian(PACKAGES[name], draft);
  });
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
