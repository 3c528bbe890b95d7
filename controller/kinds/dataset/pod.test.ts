import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { datasetSpec } from "../../../schemas/dataset.ts";
import { rowLines, trainingRows } from "../../../test/training-repository.ts";
import { blobDigest, canonicalJson, type Json } from "../../graph/canonical.ts";
import { createLogger } from "../../log.ts";
import { type HttpServer, startHttpServer } from "../../runtime/http.ts";
import type { EffectContext } from "../../runtime/kind.ts";
import { Metrics } from "../../runtime/metrics.ts";
import { openStateStore } from "../../store/open.ts";
import type { StateStore } from "../../store/store.ts";
import { WorkClient } from "../../work/client.ts";
import { workKey } from "../../work/key.ts";
import { workRoutes } from "../../work/routes.ts";
import { WorkTokens } from "../../work/tokens.ts";
import { verify } from "../fine-tune-job/effects.ts";
import type { PrepareInput, PrepareOutput } from "./decide.ts";
import { prepareEffect } from "./index.ts";
import { prepareInPod } from "./pod.ts";
import { type StageOutput, stageEffect } from "./staging.ts";

const OBJECT = { kind: "Dataset", namespace: "team", name: "rows" };
const OWNER = "Dataset/team/rows/u1";
const log = createLogger("silent");
const context: EffectContext = {
  object: OBJECT,
  owner: OWNER,
  attempt: 1,
  recovered: false,
  signal: new AbortController().signal,
  log,
  progress: () => {},
};

let dir: string;
let state: StateStore;
let server: HttpServer;
let tokens: WorkTokens;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-pod-"));
  state = await openStateStore(join(dir, "state"));
  tokens = new WorkTokens(await workKey(dir));
  const { streams, posts } = workRoutes({
    tokens,
    blobs: state.blobs,
    reports: state.reports,
    ready: () => true,
    uidOf: () => "u1",
    wake: () => {},
    grade: async () => null,
    now: () => 7,
  });
  const readiness = () => ({ ready: true, text: "" });
  server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    readiness,
    metrics: new Metrics(),
    routes: posts,
    streams,
    log,
  });
});
afterEach(async () => {
  await server.close();
  await state.close();
  await rm(dir, { recursive: true });
});

/** Rows from a file, from another Dataset and from outside, with cases that must not be among them. */
async function inputOf(rows: string): Promise<PrepareInput> {
  const { blobs } = state;
  const spec = (more: object) =>
    datasetSpec.parse({ format: "completion", steps: [{ name: "dedup", type: "exactDedup" }], ...more });
  const file = await blobs.put(rows);
  const upstream = (await prepareEffect(blobs)(
    {
      name: "upstream",
      spec: spec({
        sources: [
          {
            name: "a",
            files: [{ path: "a.jsonl", digest: await blobs.put(rowLines(trainingRows(20, 30))) }],
          },
        ],
      }),
      artifacts: {},
      suites: {},
    } as unknown as Json,
    context,
  )) as unknown as PrepareOutput;
  const fetched = await blobs.put(rowLines(trainingRows(10, 45)));
  const cases = await blobs.put(
    '{"id":"c","vars":{"ticket":"the mobile app is wrong again"},"expected":"x"}\n',
  );
  return {
    name: "rows",
    spec: spec({
      sources: [
        { name: "file", files: [{ path: "rows.jsonl", digest: file }] },
        { name: "other", datasetRef: { name: "upstream" } },
        { name: "web", url: "https://rows.test/w.jsonl" },
      ],
      steps: [
        { name: "dedup", type: "exactDedup" },
        { name: "unseen", type: "decontaminate", decontaminate: { against: [{ name: "s" }] } },
      ],
      splits: [
        { name: "train", percent: 80 },
        { name: "test", percent: 20 },
      ],
    }),
    artifacts: { upstream: upstream.artifact!.digest },
    suites: { s: { files: [{ path: "cases.jsonl", digest: cases }] } } as never,
    fetched: [
      {
        name: "web",
        resolved: "https://rows.test/w.jsonl",
        files: [{ path: "w.jsonl", digest: fetched, bytes: 1 }],
      },
    ],
  };
}

async function inPod(input: PrepareInput, more: { read?: string[]; url?: string } = {}) {
  const value = JSON.parse(canonicalJson(input)) as Json;
  const { manifest } = (await stageEffect(state.blobs)(value, context)) as unknown as StageOutput;
  const claims = { object: OBJECT, uid: "u1", input: "key", read: more.read ?? [manifest], write: true };
  const { signal } = new AbortController();
  const client = new WorkClient(
    more.url ?? `http://127.0.0.1:${server.port}`,
    tokens.issue(claims),
    signal,
    1,
  );
  const folder = await mkdtemp(join(dir, "pod-"));
  await mkdir(folder, { recursive: true });
  return prepareInPod({ client, input: manifest, folder, log, signal });
}

test("in the controller: a file that is damaged on disk is set aside, so that it is stored again", async () => {
  const rows = rowLines(trainingRows(40));
  const input = await inputOf(rows);
  const digest = blobDigest(rows);
  await writeFile(await state.blobs.locate(digest), rows.replace("a", "b"));
  await expect(prepareEffect(state.blobs)(input as unknown as Json, context)).rejects.toMatchObject({
    code: "BlobCorrupt",
  });
  expect(await state.blobs.has(digest)).toBe(false);
  await state.blobs.put(rows);
  expect(await prepareEffect(state.blobs)(input as unknown as Json, context)).toHaveProperty("artifact");
});

describe("in a pod", () => {
  test("the same digest comes out as in the controller, stored by the pod and complete", async () => {
    const input = await inputOf(rowLines([...trainingRows(40), ...trainingRows(3)]));
    const here = (await prepareEffect(state.blobs)(
      input as unknown as Json,
      context,
    )) as unknown as PrepareOutput;
    const there = await inPod(input);
    expect(there).toEqual(here);
    expect(there.artifact?.rows).toBeGreaterThan(30);
    expect(there.steps).toMatchObject([{ name: "dedup" }, { name: "unseen" }]);
    expect(there.steps.every(({ dropped }) => dropped > 0)).toBe(true);
    const { digest } = there.artifact!;
    const looked = await verify({ ...state } as never)({ digest, type: "dataset", known: false }, context);
    expect(looked).toMatchObject({ files: expect.any(Number) });
    expect(state.reports.latest(OWNER, "key")).toMatchObject({
      state: "Running",
      progress: { phase: "Storing" },
    });
  });

  test("bad rows are the data's fault: final, with file and line", async () => {
    const error = await inPod(await inputOf(`${rowLines(trainingRows(2))}{\n`)).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({
      code: "BadRows",
      retryable: false,
      message: expect.stringContaining("rows.jsonl:3"),
    });
  });

  test("a token opens what was laid out for it and nothing else", async () => {
    const other = await state.blobs.put("somebody else's");
    const error = await inPod(await inputOf(rowLines(trainingRows(2))), { read: [other] }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: "BlobNotFound" });
  });

  test("a controller that is away is asked again, and in the end it is worth another pod", async () => {
    const error = await inPod(await inputOf(rowLines(trainingRows(2))), { url: "http://127.0.0.1:1" }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: "ControllerUnreachable", retryable: true });
  });
});
