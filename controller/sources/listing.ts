import { digestOf } from "../graph/canonical.ts";
import type { PinnedSource } from "./types.ts";

/** Stands for what a folder held when it was listed, where the source itself has no name for that. */
export function listingDigest({ files }: PinnedSource): string {
  return `sha256:${digestOf(files.map(({ path, bytes, etag, digest }) => ({ path, bytes, etag, digest })))}`;
}
