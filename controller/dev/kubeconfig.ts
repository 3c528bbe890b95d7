import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { SlipwayError } from "../errors.ts";

const Kubeconfig = z.looseObject({
  "current-context": z.string().default(""),
  clusters: z.array(z.object({ name: z.string(), cluster: z.looseObject({ server: z.string() }) })).nullish(),
  users: z.array(z.object({ name: z.string(), user: z.looseObject({}) })).nullish(),
  contexts: z
    .array(z.object({ name: z.string(), context: z.looseObject({ cluster: z.string() }) }))
    .nullish(),
});

export type Kubeconfig = z.infer<typeof Kubeconfig>;

export interface KubeconfigParts {
  /** Name of the cluster and context. */
  readonly context: string;
  readonly server: string;
  /** Certificates (PEM) that the server is verified with. */
  readonly ca: string;
  readonly user: string;
  /** The user's entry, e.g. `{token: …}`. */
  readonly credentials: Readonly<Record<string, string>>;
}

/** A kubeconfig with one context that verifies the server. */
export function formatKubeconfig({ context, server, ca, user, credentials }: KubeconfigParts): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: context,
        cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") },
      },
    ],
    users: [{ name: user, user: credentials }],
    contexts: [{ name: context, context: { cluster: context, user } }],
    "current-context": context,
  });
}

/** Reads a kubeconfig file. Throws `KubeconfigUnreadable` without showing its content. */
export async function readKubeconfig(path: string): Promise<Kubeconfig> {
  try {
    return Kubeconfig.parse(parse(await readFile(path, "utf8")));
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "not a kubeconfig";
    throw new SlipwayError("KubeconfigUnreadable", `the kubeconfig ${path} cannot be used (${reason})`, {
      hint: "give the path of a kubeconfig file whose current-context is set",
    });
  }
}

/** The API server's URL of the current context. */
export function currentServer(config: Kubeconfig): string | undefined {
  const name = config["current-context"];
  const context = config.contexts?.find((entry) => entry.name === name)?.context;
  return config.clusters?.find((entry) => entry.name === context?.cluster)?.cluster.server;
}

/**
 * Copies a kubeconfig to where the user wants it, readable by its owner only. A file that is there
 * already is replaced only when it is empty or was written for the same context.
 */
export async function exportKubeconfig(from: string, to: string, context: string): Promise<string> {
  const path = resolve(to);
  if (!(await isOurs(path, context))) {
    throw new SlipwayError("KubeconfigExists", `${path} exists and belongs to another cluster`, {
      hint: "choose another path for --kubeconfig-out, or remove the file",
    });
  }
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, await readFile(from), { mode: 0o600 });
  await rename(draft, path);
  return path;
}

/** Removes an exported kubeconfig unless another cluster's was put in its place. */
export async function removeExportedKubeconfig(path: string, context: string): Promise<void> {
  if (await isOurs(path, context)) await rm(path, { force: true });
}

async function isOurs(path: string, context: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (text.trim() === "") return true;
  return (await readKubeconfig(path).catch(() => undefined))?.["current-context"] === context;
}
