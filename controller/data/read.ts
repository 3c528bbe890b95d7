import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { SlipwayError } from "../errors.ts";
import { BLOCK_BYTES, type Block, type DataFile, type DiskFile, unreadable } from "./block.ts";
import { csvBlocks } from "./csv.ts";
import { lineBlocks } from "./lines.ts";
import { parquetBlocks } from "./parquet.ts";

export type { DataFile } from "./block.ts";

/** Of one file, unpacked: a small file that unpacks without end must not fill the disk. */
const MAX_UNPACKED_BYTES = 64 * 2 ** 30;

/**
 * The records of a file in its order, in memory a block at a time.
 * @throws SlipwayError UnreadableData when the file as a whole cannot be read: cut off, not UTF-8, of no known kind;
 *   DigestMismatch
 */
export async function* blocksOf(file: DataFile): AsyncGenerator<Block> {
  const packed = file.path.toLowerCase().endsWith(".gz");
  const name = packed ? file.path.slice(0, -3) : file.path;
  const kind = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  switch (kind) {
    case "jsonl":
    case "ndjson":
      if (packed || "data" in file) yield* lineBlocksOf(content(file, packed));
      else yield* lineBlocksAt(file);
      return;
    case "csv":
      yield* csvBlocks(file.path, content(file, packed));
      return;
    case "parquet":
      if (packed) throw unreadable(file.path, "is a packed Parquet file: unpack it, Parquet packs by itself");
      // It is read here and there: checked first.
      if ("file" in file && file.digest !== undefined)
        for await (const _ of checked(file.path, file.file, file.digest));
      yield* parquetBlocks(file);
      return;
    default:
      throw unreadable(file.path, "is no .jsonl, .csv or .parquet file");
  }
}

/** Read straight into the memory that the blocks lie in. */
async function* lineBlocksAt({ path, file, digest }: DiskFile): AsyncGenerator<Block> {
  const check = new Check(path, digest);
  await using handle = await open(file);
  yield* lineBlocks(async (into) => {
    const { bytesRead } = await handle.read(into, 0, into.byteLength, null);
    if (bytesRead === 0) check.end();
    else check.add(into.subarray(0, bytesRead));
    return bytesRead;
  });
}

/** Of what is in memory or unpacked on the way. */
async function* lineBlocksOf(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Block> {
  let rest: Uint8Array = new Uint8Array();
  try {
    yield* lineBlocks(async (into) => {
      while (rest.byteLength === 0) {
        const { done, value } = await chunks.next();
        if (done) return 0;
        rest = value;
      }
      const taken = rest.subarray(0, into.byteLength);
      into.set(taken);
      rest = rest.subarray(taken.byteLength);
      return taken.byteLength;
    });
  } finally {
    await chunks.return(undefined);
  }
}

async function* content(file: DataFile, packed: boolean): AsyncGenerator<Uint8Array> {
  const bytes = "data" in file ? slices(file.data) : checked(file.path, file.file, file.digest);
  if (!packed) {
    yield* bytes;
    return;
  }
  const gunzip = createGunzip();
  const source = Readable.from(bytes, { objectMode: false });
  source.on("error", (error) => gunzip.destroy(error));
  let size = 0;
  try {
    for await (const chunk of source.pipe(gunzip) as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > MAX_UNPACKED_BYTES)
        throw unreadable(file.path, `unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof SlipwayError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "Z_BUF_ERROR")
      throw unreadable(file.path, "ends in the middle: the gzip data was cut off", cause);
    if (code?.startsWith("Z_")) throw unreadable(file.path, "is no gzip data", cause);
    throw cause;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

function* slices(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += BLOCK_BYTES) yield data.subarray(at, at + BLOCK_BYTES);
}

/** The file's bytes; an error at the end when they are not those of its digest. */
async function* checked(path: string, file: string, digest: string | undefined): AsyncGenerator<Uint8Array> {
  const check = new Check(path, digest);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) {
    check.add(chunk);
    yield chunk;
  }
  check.end();
}

/** Sees that what is read is what a digest names, where there is one. */
class Check {
  readonly #path: string;
  readonly #digest: string | undefined;
  readonly #hash = createHash("sha256");

  constructor(path: string, digest: string | undefined) {
    this.#path = path;
    this.#digest = digest;
  }

  add(bytes: Uint8Array): void {
    if (this.#digest !== undefined) this.#hash.update(bytes);
  }

  /** @throws SlipwayError DigestMismatch */
  end(): void {
    if (this.#digest === undefined || `sha256:${this.#hash.digest("hex")}` === this.#digest) return;
    throw new SlipwayError("DigestMismatch", `${this.#path} does not have the content that its digest says`, {
      location: { file: this.#path },
    });
  }
}
