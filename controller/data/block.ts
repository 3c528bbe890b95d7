import { stat } from "node:fs/promises";
import { SlipwayError } from "../errors.ts";

/** A file of a source: in memory, or on disk with the digest that it must have. */
export type DataFile = MemoryFile | DiskFile;

export interface MemoryFile {
  readonly path: string;
  readonly data: Uint8Array;
}

export interface DiskFile {
  readonly path: string;
  readonly file: string;
  readonly digest?: string;
}

/** A few thousand records, cut out in order. The same file is cut into the same blocks on every machine. */
export interface Block {
  /** A JSON value a line; not yet looked into. */
  readonly lines: Uint8Array;
  /** Number of the first record, from 1. */
  readonly first: number;
  /** How many records there are; blank lines count. */
  readonly count: number;
  /** Numbers of the records where they do not follow each other. */
  readonly numbers?: Uint32Array;
  /** By index, why a record cannot be read; its line is empty. */
  readonly problems?: ReadonlyMap<number, string>;
}

export const BLOCK_BYTES = 4 << 20;
/** Longer lines and records are taken for something that is no row at all. */
export const MAX_RECORD_BYTES = 16 << 20;
/** How large a file is, packed or not. */
export async function sizeOf(file: DataFile): Promise<number> {
  return "data" in file ? file.data.byteLength : (await stat(file.file)).size;
}

export function unreadable(path: string, message: string, cause?: unknown): SlipwayError {
  return new SlipwayError("UnreadableData", `${path} ${message}`, {
    location: { file: path },
    ...(cause === undefined ? {} : { cause }),
  });
}
