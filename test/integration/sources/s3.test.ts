import { afterAll, beforeAll, expect, test } from "vitest";
import { readFile, resolveSource, type SourceAccess } from "../../../controller/sources/index.ts";
import { type S3Server, startS3 } from "../../s3-server.ts";

const signal = new AbortController().signal;
let s3: S3Server;
let access: SourceAccess;
beforeAll(async () => {
  s3 = await startS3();
  const { accessKeyId, secretAccessKey, url } = s3;
  access = {
    endpoint: url,
    credentials: { type: "s3", accessKeyId, secretAccessKey },
    allowedHosts: [new URL(url).host],
  };
  await s3.createBucket("rows");
});
afterAll(() => s3?.stop());

async function text(file: Parameters<typeof readFile>[0], of = access): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readFile(file, of, { signal, maxBytes: 64 << 20, retryDelayMs: 1 }))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("an object is read whole, whatever is in its key, and refused once it is another", async () => {
  const key = "2026/a b+c&ü.jsonl";
  const large = "0123456789abcdef".repeat(1 << 18);
  await s3.put("rows", key.split("/").map(encodeURIComponent).join("/"), large);
  const { files } = await resolveSource(`s3://rows/${key}`, access, signal);
  expect(files[0]).toMatchObject({
    path: "a b+c&ü.jsonl",
    bytes: large.length,
    etag: expect.stringMatching(/^"/),
  });
  expect(await text(files[0]!)).toBe(large);
  await s3.put("rows", key.split("/").map(encodeURIComponent).join("/"), large.toUpperCase());
  await expect(text(files[0]!)).rejects.toMatchObject({ code: "SourceChanged", retryable: true });
});

test("a prefix is every object under it, in order, in as many pages as it takes", async () => {
  const names = Array.from({ length: 1_100 }, (_, i) => `many/part-${String(i).padStart(4, "0")}.jsonl`);
  for (let at = 0; at < names.length; at += 50)
    await Promise.all(names.slice(at, at + 50).map((name) => s3.put("rows", name, name)));
  await s3.put("rows", "many/sub/x & y.csv", "a,b\n");
  const { files } = await resolveSource("s3://rows/many/", access, signal);
  expect(files.map(({ path }) => path)).toEqual([...names.map((name) => name.slice(5)), "sub/x & y.csv"]);
  expect(await text(files.at(-1)!)).toBe("a,b\n");
});

test("what is not there, and keys that are wrong or may not go there, are told apart", async () => {
  await expect(resolveSource("s3://rows/none.jsonl", access, signal)).rejects.toMatchObject({
    code: "SourceNotFound",
  });
  await expect(resolveSource("s3://nowhere/", access, signal)).rejects.toMatchObject({
    code: "SourceNotFound",
  });
  const wrong = {
    ...access,
    credentials: { type: "s3" as const, accessKeyId: s3.accessKeyId, secretAccessKey: "no" },
  };
  const error = await resolveSource("s3://rows/many/", wrong, signal).catch((e) => e);
  expect(error).toMatchObject({ code: "SourceForbidden" });
  await expect(resolveSource("s3://rows/many/", { endpoint: s3.url }, signal)).rejects.toMatchObject({
    code: "SourceForbidden",
  });
  await expect(
    resolveSource("s3://rows/many/", { ...access, allowedHosts: [] }, signal),
  ).rejects.toMatchObject({
    code: "HostNotAllowed",
  });
});
