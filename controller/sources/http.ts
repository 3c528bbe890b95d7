import { SlipwayError } from "../errors.ts";
import { lengthOf, strong } from "./read.ts";
import { header, requestSource, shown } from "./request.ts";
import type { PinnedSource, SourceAccess } from "./types.ts";

/**
 * One file by its address. Its version is the entity tag that the server gives; a server that does not answer HEAD
 * gives none until it is read.
 * @throws SlipwayError of requestSource
 */
export async function resolveHttp(
  url: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<PinnedSource> {
  const path = nameOf(url);
  const resolved = shown(url);
  try {
    const answer = await requestSource({ method: "HEAD", url, signal }, access);
    await answer.body.dump();
    const etag = strong(header(answer, "etag"));
    const bytes = lengthOf(answer);
    const pins = { ...(etag === undefined ? {} : { etag }), ...(bytes === undefined ? {} : { bytes }) };
    return { resolved, files: [{ path, url, ...pins }] };
  } catch (error) {
    // HEAD is not served everywhere, and a presigned address is good for one method.
    const other = ["SourceRefused", "SourceForbidden"].includes((error as SlipwayError).code);
    if (!(error instanceof SlipwayError) || !other) throw error;
    return { resolved, files: [{ path, url }] };
  }
}

/** The last part of its path, as people read it. */
function nameOf(url: string): string {
  const last = new URL(url).pathname.split("/").pop() ?? "";
  try {
    const name = decodeURIComponent(last);
    return name === "" || name.includes("/") ? last || "index" : name;
  } catch {
    return last;
  }
}
