import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { effectContext } from "../../../test/effect-context.ts";
import { blobDigest } from "../../graph/canonical.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { fetchEffect } from "./fetch.ts";

const SHA = "a".repeat(40);
const ROWS = '{"prompt":"q","completion":"a"}\n';

let dir: string;
let state: StateStore;
let hub: Server;
let serve: (response: ServerResponse) => void;
let reads: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-fetch-"));
  state = await openStateStore(dir);
  serve = (response) => response.end(ROWS);
  reads = 0;
  // A hub whose listing says what it likes: that its file has the digest of ROWS.
  hub = createServer((request, response) => {
    const lfs = { oid: blobDigest(ROWS).slice("sha256:".length), size: ROWS.length };
    if (request.url?.includes("/revision/")) return void response.end(JSON.stringify({ sha: SHA }));
    if (request.url?.includes("/tree/"))
      return void response.end(JSON.stringify([{ type: "file", path: "a.jsonl", size: ROWS.length, lfs }]));
    reads++;
    serve(response);
  });
  await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  hub.closeAllConnections();
  hub.close();
  await state.close();
  await rm(dir, { recursive: true });
});

function fetched(owner: string) {
  const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  const sources = [{ name: "s", url: "hf://datasets/o/n", endpoint }];
  const secrets = { read: () => Promise.reject(new Error("there is no Secret")) };
  return fetchEffect({ ...state, secrets })(
    { namespace: "team", serviceAccountName: "team", sources },
    effectContext("Dataset", "d", { owner }),
  );
}

test("what the same Dataset has read is not read again", async () => {
  const expected = {
    sources: [{ files: [{ path: "a.jsonl", digest: blobDigest(ROWS), bytes: ROWS.length }] }],
  };
  expect(await fetched("Dataset/team/d/u1")).toMatchObject(expected);
  expect(await fetched("Dataset/team/d/u1")).toMatchObject(expected);
  expect(reads).toBe(1);
});

test("what another has stored is not given to a server that only says that it has it", async () => {
  await state.blobs.put(ROWS);
  serve = (response) => response.end("x".repeat(ROWS.length));
  await expect(fetched("Dataset/team/d/u1")).rejects.toMatchObject({ code: "DigestMismatch" });
  await state.reports.addUpload("Dataset/other/d/u2", blobDigest(ROWS));
  await expect(fetched("Dataset/team/d/u1")).rejects.toMatchObject({ code: "DigestMismatch" });
  expect(reads).toBe(2);
});

test.each<[string, (response: ServerResponse) => void, string]>([
  [
    "breaks off",
    (response) => {
      response.writeHead(200, { "content-length": ROWS.length });
      response.write(ROWS.slice(0, 5), () => response.destroy());
    },
    "SourceInterrupted",
  ],
  ["is not what it was said to be", (response) => response.end(ROWS.toUpperCase()), "DigestMismatch"],
])("of a file that %s nothing is kept", async (_, answer, code) => {
  serve = answer;
  await expect(fetched("Dataset/team/d/u1")).rejects.toMatchObject({
    code,
    message: expect.stringContaining("a.jsonl"),
  });
  expect(await readdir(join(dir, "blobs"))).toEqual(["incoming"]);
  expect(await readdir(join(dir, "blobs", "incoming"))).toEqual([]);
  expect(state.reports.hasUpload("Dataset/team/d/u1", blobDigest(ROWS))).toBe(false);
});
