import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { extractMember } from "./zip.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-zip-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An archive as PKWARE's APPNOTE describes it; local headers have an extra field, the directory has none. */
function archive(members: { name: string; content: Buffer; method: 0 | 8 | 12 }[], comment = ""): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, method } of members) {
    const data = method === 8 ? deflateRawSync(content) : content;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.from(shared);
    local.writeUInt16LE(4, 24);
    const file = Buffer.concat([Buffer.from("PK\x03\x04"), local, Buffer.from(name), Buffer.alloc(4), data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), shared, rest, Buffer.from(name)]));
    files.push(file);
    offset += file.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(entries.length, 8);
  end.writeUInt32LE(offset, 12);
  end.writeUInt16LE(comment.length, 16);
  return Buffer.concat([...files, entries, Buffer.from("PK\x05\x06"), end, Buffer.from(comment)]);
}

const text = Buffer.from("weights ".repeat(5000));
const members = [
  { name: "a/readme.txt", content: Buffer.from("not this"), method: 0 as const },
  { name: "a/deflated.bin", content: text, method: 8 as const },
  { name: "a/stored.bin", content: text, method: 0 as const },
  { name: "a/bzip2.bin", content: text, method: 12 as const },
];

async function extract(content: Buffer, member: string): Promise<Buffer> {
  const path = join(folder, "archive.zip");
  await writeFile(path, content);
  await extractMember(path, member, join(folder, "out"));
  return readFile(join(folder, "out"));
}

describe("extractMember", () => {
  it.each(["a/deflated.bin", "a/stored.bin"])("extracts %s", async (member) => {
    expect((await extract(archive(members), member)).equals(text)).toBe(true);
  });

  it("finds the directory before a comment", async () => {
    expect((await extract(archive(members, "a comment"), "a/stored.bin")).equals(text)).toBe(true);
  });

  it("says which member is missing", async () => {
    await expect(extract(archive(members), "b")).rejects.toMatchObject({ code: "ArchiveInvalid" });
  });

  it("refuses other compressions and what is no archive", async () => {
    await expect(extract(archive(members), "a/bzip2.bin")).rejects.toThrow("method 12");
    await expect(extract(Buffer.from("<html>not found</html>"), "a")).rejects.toThrow("central directory");
    await expect(extract(Buffer.alloc(0), "a")).rejects.toThrow("central directory");
  });
});
