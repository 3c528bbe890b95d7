import { expect, test } from "vitest";
import { blobDigest } from "../graph/canonical.ts";
import { loadBundle, putBundle } from "./stored-bundle.ts";

function blobStore() {
  const stored = new Map<string, Uint8Array>();
  return {
    async put(data: Uint8Array | string) {
      const bytes = Buffer.from(data);
      stored.set(blobDigest(bytes), bytes);
      return blobDigest(bytes);
    },
    get: async (digest: string) => stored.get(digest)!,
  };
}

test("a bundle is read in the namespace that it was stored for, and in no other", async () => {
  const blobs = blobStore();
  const digest = await putBundle("team", { cases: ["secret"] }, blobs);
  expect(await loadBundle("team", digest, blobs)).toEqual({ cases: ["secret"] });
  await expect(loadBundle("other", digest, blobs)).rejects.toMatchObject({
    code: "ForeignBundle",
    message: expect.not.stringContaining("secret"),
  });
});

test.each(["rows of a Dataset\n", '{"cases":[]}', "[]", "null", '"team"', '{"namespace":["team"]}'])(
  "%j is no bundle of anybody's",
  async (content) => {
    const blobs = blobStore();
    const digest = await blobs.put(content);
    await expect(loadBundle("team", digest, blobs)).rejects.toMatchObject({ code: "ForeignBundle" });
  },
);
