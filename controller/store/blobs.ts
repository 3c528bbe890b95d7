import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SlipwayError } from "../errors.ts";
import { blobDigest } from "../graph/canonical.ts";
import type { BlobStore } from "./store.ts";
import type { WriteHook } from "./write-hook.ts";

/**
 * Blobs as files `sha256/ab/cdef…` under `dir`. A file appears whole or not at all: it is written under
 * another name, flushed, and renamed. What is read is checked against its name; what fails is set aside
 * as `….corrupt`, so that the next `put` of the same content repairs it.
 */
export async function openBlobStore(dir: string, hook?: WriteHook): Promise<BlobStore> {
  const incoming = join(dir, "incoming");
  // Whatever is here was being written by a process that died: the folder is locked.
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true });
  let serial = 0;

  return {
    async put(data) {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      const digest = blobDigest(bytes);
      const path = pathOf(dir, digest);
      if ((await sizeOf(path)) === bytes.byteLength) return digest;
      hook?.("blob/put", "before");
      const temporary = join(incoming, String(serial++));
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      hook?.("blob/put", "after");
      return digest;
    },
    async putStream(data, maxBytes = Number.POSITIVE_INFINITY) {
      hook?.("blob/put", "before");
      const temporary = join(incoming, String(serial++));
      const file = await open(temporary, "wx");
      const hash = createHash("sha256");
      let bytes = 0;
      try {
        for await (const chunk of data) {
          bytes += chunk.byteLength;
          if (bytes > maxBytes) {
            throw new SlipwayError("BlobTooLarge", `the content is larger than ${maxBytes} bytes`);
          }
          hash.update(chunk);
          await file.writeFile(chunk);
        }
        await file.sync();
      } catch (error) {
        await file.close();
        await rm(temporary, { force: true });
        throw error;
      }
      await file.close();
      const digest = `sha256:${hash.digest("hex")}`;
      const path = pathOf(dir, digest);
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      hook?.("blob/put", "after");
      return { digest, bytes };
    },
    async open(digest, start = 0) {
      const file = await open(pathOf(dir, digest)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        throw new SlipwayError("BlobNotFound", `there is no blob ${digest}`);
      });
      return { bytes: (await file.stat()).size, stream: file.createReadStream({ start }) };
    },
    async get(digest) {
      const path = pathOf(dir, digest);
      const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        throw new SlipwayError("BlobNotFound", `there is no blob ${digest}`, {
          hint: "it is stored again when its Repository is synced",
        });
      });
      if (blobDigest(bytes) !== digest) throw await setAside(path, digest);
      return bytes;
    },
    async check(digest) {
      const path = pathOf(dir, digest);
      if ((await sizeOf(path)) === undefined) return;
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
      if (`sha256:${hash.digest("hex")}` !== digest) throw await setAside(path, digest);
    },
    async locate(digest) {
      const path = pathOf(dir, digest);
      if ((await sizeOf(path)) !== undefined) return path;
      throw new SlipwayError("BlobNotFound", `there is no blob ${digest}`);
    },
    async scratch() {
      const folder = join(incoming, `scratch-${serial++}`);
      await mkdir(folder);
      return folder;
    },
    async adopt(file, digest) {
      const path = pathOf(dir, digest);
      hook?.("blob/put", "before");
      const handle = await open(file, "r+");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await mkdir(dirname(path), { recursive: true });
      await rename(file, path);
      hook?.("blob/put", "after");
    },
    async has(digest) {
      return (await sizeOf(pathOf(dir, digest))) !== undefined;
    },
  };
}

/** A `put` of the same content would take a file of its size for it, and leave it as it is. */
async function setAside(path: string, digest: string): Promise<SlipwayError> {
  await rename(path, `${path}.corrupt`);
  return new SlipwayError("BlobCorrupt", `blob ${digest} does not have the content that its name says`, {
    hint: "it was set aside; it is stored again when its Repository is synced",
  });
}

/** @throws SlipwayError BlobNotFound for anything that is not a digest, since digests come from outside */
function pathOf(dir: string, digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined)
    throw new SlipwayError("BlobNotFound", `${JSON.stringify(digest)} is not a blob digest`);
  return join(dir, "sha256", hex.slice(0, 2), hex.slice(2));
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
