import * as z from "zod";
import { SlipwayError } from "../errors.ts";
import { header, requestSource, shown, textOf } from "./request.ts";
import type { PinnedFile, PinnedSource, SourceAccess } from "./types.ts";

/** Where `hf://` is, unless an endpoint is given: a mirror, as `HF_ENDPOINT` names one for Hugging Face's own tools. */
const HUB = "https://huggingface.co";

export const hubOf = ({ endpoint = HUB }: Pick<SourceAccess, "endpoint">): string =>
  endpoint.replace(/\/+$/, "");
/** Listings have up to 1,000 entries a page. */
const MAX_ENTRIES = 50_000;
const MAX_PAGES = 1_000;

export interface HubReference {
  readonly type: "datasets" | "models";
  /** `organisation/name`. */
  readonly repo: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** A file or folder in it; empty for everything. */
  readonly path: string;
}

/**
 * Reads `hf://[datasets/]organisation/name[@revision][/path]`, as Hugging Face's filesystem has it; a revision that
 * holds a slash is written with %2F. Without `datasets/` it is a model.
 * @throws SlipwayError SourceRefused
 */
export function parseHubReference(reference: string): HubReference {
  const match =
    /^hf:\/\/(datasets\/|models\/)?(?!datasets\/|models\/)([\w.-]{1,96}\/[\w.-]{1,96})(?:@([\w.%-]{1,200}))?(?:\/(.*))?$/s.exec(
      reference,
    );
  const path = match?.[4] ?? "";
  if (!match || path.split("/").includes(".."))
    throw new SlipwayError("SourceRefused", `${reference} is no reference to the Hub`, {
      hint: "write hf://datasets/organisation/name@revision/path, or hf://organisation/name for a model",
    });
  return {
    type: match[1] === "datasets/" ? "datasets" : "models",
    repo: match[2] ?? "",
    revision: decoded(match[3]) ?? "main",
    path: path.replace(/\/+$/, ""),
  };
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    throw new SlipwayError("SourceRefused", `${text} is no revision`);
  }
}

const info = z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) });
const tree = z.array(
  z.object({
    type: z.string(),
    path: z.string().max(1024),
    size: z.number().optional(),
    oid: z.string().optional(),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number() }).optional(),
  }),
);

/**
 * The commit that a reference means now, and its files: large ones with their SHA-256, others with git's object id.
 * @throws SlipwayError of requestSource; SourceNotFound when there is no such file
 */
export async function resolveHub(
  reference: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<PinnedSource> {
  const { type, repo, revision, path } = parseHubReference(reference);
  const endpoint = hubOf(access);
  const api = `${endpoint}/api/${type}/${repo}`;
  const get = async <T>(url: string, schema: z.ZodType<T>) => {
    const answer = await requestSource({ method: "GET", url, signal }, access);
    return { value: parsed(url, await textOf(answer), schema), link: header(answer, "link") };
  };
  const { sha } = (await get(`${api}/revision/${encodeURIComponent(revision)}`, info)).value;
  const entries: z.infer<typeof tree> = [];
  // Listed from its top: the path may be a file, which has no listing.
  let next: string | undefined = `${api}/tree/${sha}?recursive=true`;
  for (let pages = 0; next !== undefined; pages++) {
    if (pages >= MAX_PAGES || entries.length > MAX_ENTRIES)
      throw new SlipwayError("SourceTooLarge", `${repo} has more than ${MAX_ENTRIES} files`);
    const page: { value: z.infer<typeof tree>; link: string | undefined } = await get(next, tree);
    for (const entry of page.value) entries.push(entry);
    const following: string | undefined = /<([^>]+)>;\s*rel="next"/.exec(page.link ?? "")?.[1];
    next = following === undefined ? undefined : new URL(following, next).href;
  }
  const prefix = type === "datasets" ? "datasets/" : "";
  const files = entries
    .filter((entry) => entry.type === "file" && under(entry.path, path))
    .map(({ path: file, size, oid, lfs }): PinnedFile => {
      const at = file.split("/").map(encodeURIComponent).join("/");
      const url = `${endpoint}/${prefix}${repo}/resolve/${sha}/${at}`;
      if (lfs) return { path: file, url, bytes: lfs.size, digest: `sha256:${lfs.oid}` };
      const known = size !== undefined && /^[0-9a-f]{40}$/.test(oid ?? "");
      return {
        path: file,
        url,
        ...(size === undefined ? {} : { bytes: size }),
        ...(known ? { gitOid: oid! } : {}),
      };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (files.length === 0)
    throw new SlipwayError(
      "SourceNotFound",
      `${repo} has no file ${path || "at all"} at ${sha.slice(0, 12)}`,
    );
  return { resolved: `hf://${prefix}${repo}@${sha}${path && `/${path}`}`, files };
}

const under = (file: string, path: string) => path === "" || file === path || file.startsWith(`${path}/`);

function parsed<T>(url: string, text: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SlipwayError("SourceRefused", `${shown(url)} does not answer as the Hub does`, { cause });
  }
}
