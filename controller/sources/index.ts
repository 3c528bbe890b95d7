import { SlipwayError } from "../errors.ts";
import { resolveHttp } from "./http.ts";
import { hubOf, resolveHub } from "./hub.ts";
import { bucketOf, resolveS3 } from "./s3.ts";
import type { PinnedSource, SourceAccess } from "./types.ts";

export { credentialsOf } from "./credentials.ts";
export { readFile } from "./read.ts";
export type * from "./types.ts";

/**
 * What `https://…`, `s3://bucket/key` or `hf://[datasets/]organisation/name[@revision][/path]` is now: its files, each
 * pinned as far as the source allows, to be read by {@link readFile}.
 * @throws SlipwayError HostNotAllowed, SourceNotFound, SourceForbidden, SourceRefused, SourceTooLarge, SourceUntrusted;
 *   retryable: SourceUnavailable, SourceChanged. The signal's reason when it was aborted.
 */
export async function resolveSource(
  reference: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<PinnedSource> {
  return namedSafely(await resolve(reference, access, signal));
}

/** Where the first request for a reference goes: credentials are for this host, and for no other unless it is allowed. */
export function homeOf(reference: string, access: Pick<SourceAccess, "endpoint" | "region">): string {
  if (reference.startsWith("hf://")) return hubOf(access);
  const bucket = /^s3:\/\/([^/]+)/.exec(reference)?.[1];
  return bucket === undefined ? reference : bucketOf(bucket, access);
}

async function resolve(reference: string, access: SourceAccess, signal: AbortSignal): Promise<PinnedSource> {
  if (reference.startsWith("s3://")) return resolveS3(reference, access, signal);
  if (reference.startsWith("hf://")) return resolveHub(reference, access, signal);
  if (/^https?:\/\//.test(reference) && URL.canParse(reference))
    return resolveHttp(reference, access, signal);
  throw new SlipwayError("SourceRefused", `${reference.slice(0, 80)} is no source`, {
    hint: "write https://…, s3://bucket/key or hf://datasets/organisation/name",
  });
}

/** Names come from the server, and end up in paths of files and in messages. */
function namedSafely(source: PinnedSource): PinnedSource {
  for (const { path } of source.files) {
    const parts = path.split("/");
    if (path.length > 1024 || /\p{Cc}/u.test(path) || parts.some((part) => ["", ".", ".."].includes(part)))
      throw new SlipwayError(
        "SourceRefused",
        `a file of the source is called ${JSON.stringify(path.slice(0, 80))}`,
        {
          hint: "names are relative paths of at most 1024 characters, without empty parts, . and ..",
        },
      );
  }
  return source;
}
