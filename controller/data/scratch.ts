import { statfs } from "node:fs/promises";
import { SlipwayError } from "../errors.ts";

/** Rows between two passes, with their keys, in bytes of the sources; packed ones unpack to several times as much. */
const TIMES = 32;
const LEAST_BYTES = 4 * 2 ** 30;
/** Left of the disk for everybody else: a gigabyte, or of a small disk so many parts of a hundred. */
const RESERVE_BYTES = 1 << 30;
const RESERVE_SHARE = 0.05;
const GIB = 2 ** 30;

/** How much a preparation may lay on the disk at a time: a small file that unpacks without end must not fill it. */
export const scratchLimit = (sourceBytes: number): number => Math.max(LEAST_BYTES, TIMES * sourceBytes);

async function roomOf(folder: string): Promise<{ free: number; total: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, total: blocks * bsize };
}

/** What a preparation has on the disk between its passes. */
export class Scratch {
  readonly #folder: string;
  readonly #limit: number;
  readonly #roomOf: typeof roomOf;
  #bytes = 0;

  /** @param room of the disk that holds the folder, in bytes */
  constructor(folder: string, limit: number, room = roomOf) {
    this.#folder = folder;
    this.#limit = limit;
    this.#roomOf = room;
  }

  /**
   * Counts what was written.
   * @throws SlipwayError DatasetTooLarge; DiskFull (retryable) where others have the room
   */
  async add(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes > this.#limit) {
      throw new SlipwayError(
        "DatasetTooLarge",
        `the rows take more than ${(this.#limit / GIB).toFixed(1)} GiB of the disk while they are prepared`,
        { hint: "split the sources into several Datasets, or unpack those that are packed very small" },
      );
    }
    const { free, total } = await this.#roomOf(this.#folder);
    const reserve = Math.min(RESERVE_BYTES, total * RESERVE_SHARE);
    if (free >= reserve) return;
    throw new SlipwayError(
      "DiskFull",
      `the disk on which rows are prepared has less than ${(reserve / GIB).toFixed(1)} GiB left`,
      { hint: "it is tried again; give the disk more room if this stays", retryable: true },
    );
  }

  /** Counts what was removed. */
  remove(bytes: number): void {
    this.#bytes -= bytes;
  }
}
