import { SlipwayError } from "../errors.ts";
import { lengthOf, strong } from "./read.ts";
import { header, requestSource, textOf } from "./request.ts";
import type { PinnedFile, PinnedSource, SourceAccess } from "./types.ts";

const MAX_OBJECTS = 10_000;
const MAX_PAGES = 1_000;

/**
 * An object, or every object under a prefix that ends in `/`, by `s3://bucket/key`. Versions are entity tags.
 * Without `endpoint` it is Amazon's; with it, its path is the bucket's, as S3-compatible servers have it.
 * @throws SlipwayError of requestSource; SourceTooLarge for more than 10,000 objects
 */
export async function resolveS3(
  reference: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<PinnedSource> {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.*)$/s.exec(reference);
  if (!match)
    throw new SlipwayError("SourceRefused", `${reference} is no S3 reference`, {
      hint: "write s3://bucket/key, or s3://bucket/prefix/ for every object under it",
    });
  const [, bucket = "", key = ""] = match;
  const base = bucketOf(bucket, access);
  if (key !== "" && !key.endsWith("/")) {
    const url = urlOf(base, key);
    const answer = await requestSource({ method: "HEAD", url, signal }, access);
    await answer.body.dump();
    const etag = strong(header(answer, "etag"));
    const bytes = lengthOf(answer);
    const pins = { ...(etag === undefined ? {} : { etag }), ...(bytes === undefined ? {} : { bytes }) };
    return { resolved: reference, files: [{ path: key.split("/").pop() ?? key, url, ...pins }] };
  }
  return { resolved: reference, files: await list(base, key, access, signal) };
}

/** Where a bucket is. */
export function bucketOf(
  bucket: string,
  { endpoint, region = "us-east-1" }: Pick<SourceAccess, "endpoint" | "region">,
): string {
  if (endpoint !== undefined) return `${endpoint.replace(/\/+$/, "")}/${bucket}`;
  // A dot in the name is not covered by the certificate of *.s3.
  return bucket.includes(".")
    ? `https://s3.${region}.amazonaws.com/${bucket}`
    : `https://${bucket}.s3.${region}.amazonaws.com`;
}

const urlOf = (base: string, key: string) => `${base}/${key.split("/").map(encodeURIComponent).join("/")}`;

/** ListObjectsV2, page by page. */
async function list(
  base: string,
  prefix: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<PinnedFile[]> {
  const files: PinnedFile[] = [];
  let token: string | undefined;
  for (let pages = 0; pages === 0 || token !== undefined; pages++) {
    // Servers answer a thousand objects a page; one that never comes to an end is no S3.
    if (pages >= MAX_PAGES) throw new SlipwayError("SourceRefused", `the listing of ${prefix} does not end`);
    const query = new URLSearchParams({ "list-type": "2", "encoding-type": "url", prefix });
    if (token !== undefined) query.set("continuation-token", token);
    const answer = await requestSource({ method: "GET", url: `${base}/?${query}`, signal }, access);
    const text = await textOf(answer);
    for (const [, contents = ""] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const key = decodedKey(element(contents, "Key") ?? "");
      const bytes = Number(element(contents, "Size"));
      if (key === "" || key.endsWith("/") || !Number.isSafeInteger(bytes)) continue;
      const etag = strong(element(contents, "ETag"));
      files.push({
        path: key.slice(prefix.length),
        url: urlOf(base, key),
        bytes,
        ...(etag === undefined ? {} : { etag }),
      });
      if (files.length > MAX_OBJECTS)
        throw new SlipwayError("SourceTooLarge", `more than ${MAX_OBJECTS} objects lie under ${prefix}`);
    }
    token = element(text, "IsTruncated") === "true" ? element(text, "NextContinuationToken") : undefined;
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function decodedKey(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new SlipwayError("SourceRefused", "the listing has a key that is not URL-encoded", { cause });
  }
}

/** Keys are URL-encoded as asked for, so that of XML's entities only those of tags and tokens are left. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replaceAll("&quot;", '"').replaceAll("&#34;", '"').replaceAll("&amp;", "&");
}
