import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startHub } from "../../dev/hub.ts";
import { blobDigest, canonicalJson } from "../../graph/canonical.ts";
import { createLogger } from "../../log.ts";
import { type HttpServer, startHttpServer } from "../../runtime/http.ts";
import { Metrics } from "../../runtime/metrics.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { workKey } from "../../work/key.ts";
import { workRoutes } from "../../work/routes.ts";
import { WorkTokens } from "../../work/tokens.ts";
import { artifactContent } from "./artifact.ts";
import { readFiles } from "./files.ts";
import { contentOf } from "./source.ts";

const signal = AbortSignal.timeout(60_000);
const weights = Buffer.alloc(3_000_000, "weights");
let dir: string;
let folder: string;
let state: StateStore;
let server: HttpServer;
let breaking: Server;
let artifact: string;
let env: Record<string, string>;
/** Bytes after which the connection to the controller breaks, once each; empty lets all through. */
let breaks: number[];
let said: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-fetch-"));
  folder = join(dir, "model");
  state = await openStateStore(join(dir, "state"));
  const files = [
    { path: "config.json", data: Buffer.from("{}") },
    { path: "model.gguf", data: weights },
    { path: "sub/more.bin", data: Buffer.from("more") },
  ];
  for (const { data } of files) await state.blobs.put(data);
  const listed = files.map(({ path, data }) => ({ path, digest: blobDigest(data), bytes: data.byteLength }));
  artifact = await state.blobs.put(canonicalJson({ version: 1, type: "model", files: listed, metadata: {} }));
  const tokens = new WorkTokens(await workKey(dir));
  const object = { kind: "ModelDeployment", namespace: "a", name: "b" };
  const { streams } = workRoutes({
    tokens,
    blobs: state.blobs,
    reports: state.reports,
    ready: () => true,
    uidOf: () => "u",
    wake: () => undefined,
    grade: async () => null,
    now: () => 0,
  });
  server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    readiness: () => ({ ready: true, text: "" }),
    metrics: new Metrics(),
    routes: [],
    streams,
    log: createLogger("silent"),
  });
  breaks = [];
  said = [];
  // Stands between: breaks connections in the middle of a body.
  breaking = createServer(async (request, response) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => ["authorization", "range"].includes(name)),
    ) as Record<string, string>;
    const answer = await fetch(`http://127.0.0.1:${server.port}${request.url}`, { headers });
    const body = Buffer.from(await answer.arrayBuffer());
    said.push(`${answer.status} ${body.byteLength}`);
    const cut = body.byteLength > 1_000_000 ? breaks.shift() : undefined;
    response.writeHead(answer.status, { "content-length": body.byteLength });
    if (cut === undefined) return response.end(body);
    return response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
  });
  await new Promise<void>((resolve) => breaking.listen(0, "127.0.0.1", resolve));
  const { port } = breaking.address() as AddressInfo;
  const token = tokens.issue({ object, uid: "u", input: "i", read: [artifact], write: false });
  env = { SLIPWAY_URL: `http://127.0.0.1:${port}`, SLIPWAY_TOKEN: token };
});
afterEach(async () => {
  breaking.closeAllConnections();
  await new Promise((resolve) => breaking.close(resolve));
  await server.close();
  await state.close();
  await rm(dir, { recursive: true });
});

const fetchAll = async (file?: string) => {
  const content = await contentOf(`artifact:${artifact}`, file, env, signal);
  await readFiles(content, folder, { signal, concurrency: 2, say: (text) => said.push(text), retryMs: 10 });
};
const listed = async () =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();

describe("an artifact", () => {
  test("comes whole, with every file checked", async () => {
    await fetchAll();
    expect(await listed()).toEqual(["config.json", "model.gguf", "more.bin"]);
    expect((await readFile(join(folder, "model.gguf"))).equals(weights)).toBe(true);
  });

  test("goes on where the connection broke, over a restart of the pod's container too", async () => {
    breaks = [1_000_000, 500_000];
    await fetchAll();
    expect((await readFile(join(folder, "model.gguf"))).equals(weights)).toBe(true);
    expect(said.filter((line) => line.startsWith("206")).length).toBe(2);
    // What another container of this pod left behind.
    await rm(join(folder, "model.gguf"));
    await writeFile(join(folder, `model.gguf.${hostname()}.partial`), weights.subarray(0, 2_999_000));
    said = [];
    await fetchAll();
    expect(said).toContain("206 1000");
    expect((await readFile(join(folder, "model.gguf"))).equals(weights)).toBe(true);
    expect(await listed()).toEqual(["config.json", "model.gguf", "more.bin"]);
  });

  test("is read again where what was left is wrong", async () => {
    await mkdir(folder);
    await writeFile(join(folder, `model.gguf.${hostname()}.partial`), Buffer.alloc(2_000_000, "other"));
    await expect(fetchAll()).rejects.toMatchObject({ code: "DigestMismatch", retryable: true });
    expect(await listed()).not.toContain("model.gguf");
    await fetchAll();
    expect((await readFile(join(folder, "model.gguf"))).equals(weights)).toBe(true);
  });

  test("takes away what pods left behind that are gone, and nothing that may still be written", async () => {
    await mkdir(folder);
    const [gone, other] = [
      join(folder, "model.gguf.pod-1.partial"),
      join(folder, "model.gguf.pod-2.partial"),
    ];
    for (const path of [gone, other]) await writeFile(path, "x");
    const before = new Date(Date.now() - 2 * 3_600_000);
    await utimes(gone, before, before);
    await fetchAll();
    expect(await listed()).toEqual(["config.json", "model.gguf", "model.gguf.pod-2.partial", "more.bin"]);
  });

  test("is not read twice", async () => {
    await fetchAll();
    said = [];
    await fetchAll();
    expect(said.filter((line) => /^20[06]/.test(line))).toHaveLength(1);
    expect(said).toContain("model.gguf: is there");
  });

  test("with --file: that one and the small ones beside it", async () => {
    await fetchAll("model.gguf");
    expect(await listed()).toEqual(["config.json", "model.gguf"]);
    await expect(fetchAll("other.gguf")).rejects.toMatchObject({
      code: "SourceNotFound",
      hint: "it has config.json, model.gguf, sub/more.bin",
    });
  });
});

test("a model of the hub comes at its commit, with the token of the source's Secret", async () => {
  const model = join(dir, "hub-model");
  await mkdir(model);
  await writeFile(join(model, "config.json"), "{}");
  // Small: what is large comes from a storage, which is another host on the real hub and gets no token.
  const small = weights.subarray(0, 1_000);
  await writeFile(join(model, "model.safetensors"), small);
  const hub = await startHub({ models: { "org/model": model }, token: "hf_secret" });
  try {
    const access = { SLIPWAY_SOURCE_ENDPOINT: hub.url };
    const read = (more: Record<string, string>) =>
      contentOf("hf://org/model@main", undefined, { ...access, ...more }, signal);
    await expect(read({})).rejects.toMatchObject({ code: "SourceForbidden" });
    const content = await read({ SLIPWAY_SECRET_HF_TOKEN: "hf_secret" });
    await readFiles(content, folder, { signal, concurrency: 2, say: () => undefined, retryMs: 10 });
    expect((await readFile(join(folder, "model.safetensors"))).equals(small)).toBe(true);
    expect(await listed()).toEqual(["config.json", "model.safetensors"]);
  } finally {
    await hub.close();
  }
});

test("a small file of the hub is checked as a whole, with what an earlier container has read of it", async () => {
  const model = join(dir, "hub-model");
  await mkdir(model);
  await writeFile(join(model, "config.json"), '{"right": true}');
  const hub = await startHub({ models: { "org/model": model } });
  try {
    const content = await contentOf(
      "hf://org/model@main",
      undefined,
      { SLIPWAY_SOURCE_ENDPOINT: hub.url },
      signal,
    );
    const read = () =>
      readFiles(content, folder, { signal, concurrency: 1, say: () => undefined, retryMs: 10 });
    await mkdir(folder);
    await writeFile(join(folder, `config.json.${hostname()}.partial`), '{"wrong": true}');
    await expect(read()).rejects.toMatchObject({ code: "DigestMismatch", retryable: true });
    expect(await listed()).toEqual([]);
    await read();
    expect(await readFile(join(folder, "config.json"), "utf8")).toBe('{"right": true}');
  } finally {
    await hub.close();
  }
});

test("a bucket is asked with the signature of its region", async () => {
  const signatures: (string | undefined)[] = [];
  const bucket = createServer((request, response) => {
    signatures.push(request.headers.authorization);
    response.writeHead(403).end();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => bucket.once("listening", resolve));
  const env = {
    SLIPWAY_SOURCE_ENDPOINT: `http://127.0.0.1:${(bucket.address() as AddressInfo).port}`,
    SLIPWAY_SOURCE_REGION: "eu-central-1",
    SLIPWAY_SECRET_AWS_ACCESS_KEY_ID: "id",
    SLIPWAY_SECRET_AWS_SECRET_ACCESS_KEY: "secret",
  };
  try {
    await expect(contentOf("s3://models/v1/", undefined, env, signal)).rejects.toThrow();
    expect(signatures[0]).toContain("/eu-central-1/s3/aws4_request");
  } finally {
    bucket.close();
  }
});

describe("what does not come", () => {
  const other = `sha256:${"0".repeat(64)}`;
  test.each([
    [
      "a digest that this pod may not read",
      () => artifactContent(other, env, signal, 1),
      "ArtifactNotFound",
      false,
    ],
    [
      "a token of somebody else",
      () => artifactContent(artifact, { ...env, SLIPWAY_TOKEN: "x.y" }, signal, 1),
      "TokenRefused",
      false,
    ],
    [
      "a controller that is away",
      () => artifactContent(artifact, { ...env, SLIPWAY_URL: "http://127.0.0.1:1" }, signal, 1),
      "ControllerUnreachable",
      true,
    ],
    ["no settings", () => artifactContent(artifact, {}, signal, 1), "InvalidSettings", false],
    ["no source", () => contentOf("ftp://x", undefined, {}, signal), "SourceRefused", false],
  ])("%s", async (_, attempt, code, retryable) => {
    const error = await attempt().then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ code, retryable });
    expect(String((error as Error).message)).not.toContain(env.SLIPWAY_TOKEN);
  });
});
