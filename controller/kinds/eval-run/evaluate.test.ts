import { expect, test } from "vitest";
import { blobDigest, type Json } from "../../graph/canonical.ts";
import { evalRun } from "./index.ts";

test("a run made by hand that names the cases of another namespace asks nobody", async () => {
  const suite = Buffer.from(JSON.stringify({ namespace: "other", name: "s", cases: [] }));
  const bundle = blobDigest(suite);
  const state = { blobs: { get: async () => suite } };
  const secrets = {};
  const { evaluate } = evalRun({ state, secrets } as never).effects!;
  const input = {
    namespace: "team",
    spec: { suite: { name: "s", bundle }, head: { bundle } },
  } as unknown as Json;
  await expect(evaluate!(input, {} as never)).rejects.toMatchObject({
    code: "ForeignBundle",
    retryable: false,
  });
});
