import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { SlipwayError } from "../../errors.ts";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
/** The end record is 22 bytes and a comment of at most 64 KiB. */
const END_SEARCH_BYTES = 22 + 0xffff;

interface Entry {
  readonly method: number;
  readonly compressedSize: number;
  readonly headerOffset: number;
}

/**
 * Writes one member of a ZIP archive (APPNOTE.TXT 6.3) to a file: stored or deflated, below 4 GiB.
 * The content is not verified here; callers know its digest.
 * @throws SlipwayError `ArchiveInvalid`
 */
export async function extractMember(archive: string, member: string, target: string): Promise<void> {
  const file = await open(archive, "r");
  let start: number;
  let entry: Entry;
  try {
    entry = await findEntry(file, archive, member);
    // The local header repeats the name and may have other extra fields than the directory.
    const header = await readAt(file, entry.headerOffset, 30);
    if (header.length < 30) throw invalid(archive, `the header of ${member} is cut off`);
    start = entry.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  } finally {
    await file.close();
  }
  if (entry.method !== 0 && entry.method !== 8) {
    throw invalid(archive, `${member} is compressed by method ${entry.method}`);
  }
  await pipeline(
    createReadStream(archive, { start, end: start + entry.compressedSize - 1 }),
    entry.method === 8 ? createInflateRaw() : new PassThrough(),
    createWriteStream(target),
  );
}

async function findEntry(file: FileHandle, archive: string, member: string): Promise<Entry> {
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - END_SEARCH_BYTES), Math.min(size, END_SEARCH_BYTES));
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || end + 22 > tail.length || tail.readUInt32LE(end) !== END_OF_DIRECTORY) {
    throw invalid(archive, "it has no central directory");
  }
  const directory = await readAt(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === DIRECTORY_ENTRY; ) {
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    if (name === member) {
      return {
        method: directory.readUInt16LE(at + 10),
        compressedSize: directory.readUInt32LE(at + 20),
        headerOffset: directory.readUInt32LE(at + 42),
      };
    }
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw invalid(archive, `it has no member ${member}`);
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function invalid(archive: string, why: string): SlipwayError {
  return new SlipwayError("ArchiveInvalid", `${archive} cannot be read: ${why}`);
}
