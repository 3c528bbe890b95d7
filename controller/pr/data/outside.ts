import type { DatasetSource, DatasetSpec } from "../../../schemas/dataset.ts";
import type { DiskFile } from "../../data/block.ts";
import { SlipwayError } from "../../errors.ts";
import type { BlobStore } from "../../store/store.ts";
import type { NotCompared } from "./state.ts";

type Url = Pick<DatasetSource, "name" | "url" | "endpoint" | "region" | "digest" | "secretRef">;

/** A source as the controller was asked to read it, and what was there. */
export interface ReadSource {
  readonly source: Url;
  readonly files: readonly { readonly path: string; readonly digest: string; readonly bytes: number }[];
}

/** What lies in the blob store of the urls of a Repository's Datasets. Nothing is fetched for a pull request. */
export interface Outside {
  /** The urls of a Dataset as they were read last. */
  readonly read: (dataset: string) => readonly ReadSource[];
  readonly locate: BlobStore["locate"];
}

export interface OutsideRows {
  readonly files: readonly (DiskFile & { readonly digest: string })[];
  readonly bytes: number;
  /** They were read with a Secret: not everybody who reads the pull request may have them. */
  readonly confidential: boolean;
}

/**
 * The rows of a url, on either side of a pull request. A url counts that the base has in the same Dataset and that was
 * read for it: a pull request names no place by itself, and what the base has left is not to be had again.
 * @param base the Dataset as the base has it
 */
export async function outsideRows(
  dataset: string,
  source: Url,
  base: DatasetSpec | undefined,
  outside: Outside | undefined,
): Promise<OutsideRows | NotCompared> {
  const skip = (why: string): NotCompared => ({
    state: "NotCompared",
    reason: "Outside",
    message: `the source ${source.name} of Dataset ${dataset} lies outside of git${why}`,
  });
  if (!outside) return skip(", and is read by the controller alone");
  const known = base?.sources.filter((each) => samePlace(each, source)) ?? [];
  if (known.length === 0) return skip(" where the base does not read it, and is not read before the merge");
  const read = outside.read(dataset).filter((each) => samePlace(each.source, source));
  const files = read[0] && (await located(read[0].files, outside));
  if (!files) return skip(", and has not been read yet");
  return {
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    confidential: [source, ...known, ...read.map((each) => each.source)].some(
      ({ secretRef }) => secretRef !== undefined,
    ),
  };
}

/** Undefined where one is lost: what prepares the Dataset reads it anew. */
async function located(files: ReadSource["files"], { locate }: Outside) {
  try {
    return await Promise.all(files.map(async (each) => ({ ...each, file: await locate(each.digest) })));
  } catch (error) {
    if (error instanceof SlipwayError && error.code === "BlobNotFound") return undefined;
    throw error;
  }
}

const samePlace = (a: Url, b: Url): boolean =>
  a.url === b.url && a.endpoint === b.endpoint && a.region === b.region && a.digest === b.digest;
