import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SlipwayError } from "../errors.ts";
import { blobDigest, canonicalJson } from "../graph/canonical.ts";
import { createLogger } from "../log.ts";
import { type HttpServer, startHttpServer } from "../runtime/http.ts";
import type { ObjectRef } from "../runtime/kind.ts";
import { Metrics } from "../runtime/metrics.ts";
import { openStateStore } from "../store/open.ts";
import type { StateStore } from "../store/store.ts";
import { workKey } from "./key.ts";
import { workRoutes } from "./routes.ts";
import { type WorkClaims, WorkTokens } from "./tokens.ts";

const object = { kind: "FineTuneJob", namespace: "a", name: "b" };
const claims: WorkClaims = { object, uid: "u1", input: "d1", read: [], write: true };

let dir: string;
let state: StateStore;
let server: HttpServer;
let tokens: WorkTokens;
let ready: boolean;
let uid: string | undefined;
let woken: ObjectRef[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "slipway-work-"));
  state = await openStateStore(dir);
  tokens = new WorkTokens(await workKey(dir));
  [ready, uid] = [true, "u1"];
  woken = [];
  const { streams, posts } = workRoutes({
    tokens,
    blobs: state.blobs,
    reports: state.reports,
    ready: () => ready,
    uidOf: () => uid,
    wake: (ref) => woken.push(ref),
    grade: async (suite, answers) => {
      if (suite === "broken") throw new SlipwayError("AnswersInvalid", `${answers} is no list of answers`);
      return { suite, answers };
    },
    now: () => 7,
    maxArtifactBytes: 1 << 20,
  });
  server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    readiness: () => ({ ready: true, text: "" }),
    metrics: new Metrics(),
    routes: posts,
    streams,
    log: createLogger("silent"),
  });
});
afterEach(async () => {
  await server.close();
  await state.close();
  await rm(dir, { recursive: true });
});

const ask = (path: string, init: RequestInit & { token?: string } = {}) =>
  fetch(`http://127.0.0.1:${server.port}${path}`, {
    ...init,
    headers: init.token === undefined ? {} : { authorization: `Bearer ${init.token}` },
  });
const put = (token: string, body: string | Buffer) => ask("/artifacts", { method: "PUT", token, body });
const report = (token: string, body: unknown) =>
  ask("/work/report", { method: "POST", token, body: JSON.stringify(body) });

test("what a pod stores, another may read by the manifest that lists it, and nothing else", async () => {
  const token = tokens.issue(claims);
  const data = Buffer.alloc(300_000, 7);
  const stored = await put(token, data);
  expect([stored.status, await stored.json()]).toEqual([201, { digest: blobDigest(data), bytes: 300_000 }]);
  const other = await state.blobs.put("a secret of somebody else");
  const files = [{ path: "model.safetensors", digest: blobDigest(data), bytes: data.byteLength }];
  const manifest = await state.blobs.put(canonicalJson({ version: 1, type: "model", files, metadata: {} }));

  const reader = tokens.issue({ ...claims, read: [manifest], write: false });
  const file = await ask(`/artifacts/${blobDigest(data)}`, { token: reader });
  expect(Buffer.from(await file.arrayBuffer()).equals(data)).toBe(true);
  const head = await ask(`/artifacts/${manifest}`, { method: "HEAD", token: reader });
  expect(head.status).toBe(200);
  expect((await ask(`/artifacts/${other}`, { token: reader })).status).toBe(404);
  const stranger = tokens.issue({ ...claims, object: { ...object, name: "c" } });
  expect((await ask(`/artifacts/${blobDigest(data)}`, { token: stranger })).status).toBe(404);
  expect((await put(reader, "x")).status).toBe(403);
});

test("the next pod reads what the one before it reported and stored", async () => {
  const token = tokens.issue(claims);
  expect((await ask("/work/report", { token })).status).toBe(404);
  const checkpoint = (await (await put(token, "weights")).json()) as { digest: string };
  await report(token, { state: "Running", progress: { step: 3, checkpoint } });
  const answer = await ask("/work/report", { token: tokens.issue(claims) });
  expect(await answer.json()).toMatchObject({ progress: { step: 3, checkpoint } });
  expect(await (await ask(`/artifacts/${checkpoint.digest}`, { token })).text()).toBe("weights");
  await report(token, { state: "Running", progress: { phase: "LoadingModel" } });
  await report(token, { state: "Failed", error: { code: "HubUnreachable", message: "m" } });
  expect(await (await ask("/work/report", { token })).json()).toMatchObject({ progress: { checkpoint } });
  expect((await ask("/work/report", { token: tokens.issue({ ...claims, input: "d2" }) })).status).toBe(404);
  expect((await ask("/work/report", { token: "x" })).status).toBe(401);
});

test("answers are graded with the token's suite, if a pod of the object has stored them", async () => {
  const token = tokens.issue({ ...claims, grade: "s1" });
  const { digest } = (await (await put(token, "answers")).json()) as { digest: string };
  const grade = (by: string, answers: string) =>
    ask("/work/grade", { method: "POST", token: by, body: JSON.stringify({ answers }) });
  const graded = await grade(token, digest);
  expect([graded.status, await graded.json()]).toEqual([200, { suite: "s1", answers: digest }]);
  // A suite's right answers must not be found out with answers that are somebody else's.
  const other = await state.blobs.put("answers of another");
  expect((await grade(token, other)).status).toBe(404);
  expect((await grade(tokens.issue(claims), digest)).status).toBe(401);
  expect((await grade(token, "sha256:x")).status).toBe(400);
  // However it is written: images of others send it too.
  const send = (body: string) => ask("/work/grade", { method: "POST", token, body });
  expect((await send(`{\n  "answers" : "${digest}"\n}\n`)).status).toBe(200);
  expect((await send(digest)).status).toBe(400);
  const broken = await grade(tokens.issue({ ...claims, grade: "broken" }), digest);
  expect([broken.status, await broken.text()]).toEqual([400, `${digest} is no list of answers\n`]);
});

test("what was graded outlives the pod that does not know of it", async () => {
  const token = tokens.issue(claims);
  const candidates = [{ step: 3, digest: "sha256:a" }];
  await report(token, { state: "Running", progress: { step: 3, candidates } });
  await report(token, { state: "Running", progress: { phase: "LoadingModel" } });
  expect(await (await ask("/work/report", { token })).json()).toMatchObject({
    progress: { phase: "LoadingModel", candidates },
  });
});

test("a token is refused without signature, when altered, and when its object is gone or made anew", async () => {
  const token = tokens.issue(claims);
  const forged = Buffer.from(canonicalJson({ ...claims, uid: "u2" })).toString("base64url");
  const strangers = new WorkTokens(Buffer.alloc(32, 1)).issue(claims);
  for (const bad of ["", "x", forged, `${forged}.${token.split(".")[1]}`, strangers, `${token}.x`]) {
    expect([bad, (await put(bad, "x")).status]).toEqual([bad, 401]);
    expect((await report(bad, { state: "Running" })).status).toBe(401);
  }
  uid = "u2";
  expect((await put(token, "x")).status).toBe(401);
  uid = undefined;
  expect((await report(token, { state: "Running" })).status).toBe(401);
  expect(state.reports.objects()).toEqual([]);
});

test("while it is not known which objects there are nobody is refused for good", async () => {
  const token = tokens.issue(claims);
  [ready, uid] = [false, undefined];
  const digest = await state.blobs.put("rows");
  const answers = [
    await put(token, "x"),
    await ask(`/artifacts/${digest}`, { token }),
    await ask("/work/report", { token }),
    await report(token, { state: "Running" }),
    await ask("/work/grade", { method: "POST", token, body: JSON.stringify({ answers: digest }) }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
  [ready, uid] = [true, "u1"];
  expect((await put(token, "x")).status).toBe(201);
});

test("the key stays the same over restarts", async () => {
  expect(new WorkTokens(await workKey(dir)).verify(tokens.issue(claims))).toEqual(claims);
});

test("too much is refused and leaves nothing behind", async () => {
  const answer = await put(tokens.issue(claims), Buffer.alloc((1 << 20) + 1));
  expect(answer.status).toBe(413);
  expect(await readdir(join(dir, "blobs", "incoming"))).toEqual([]);
});

test("a report is kept, wakes its object, and Succeeded is the last word", async () => {
  const token = tokens.issue(claims);
  const latest = () => state.reports.latest("FineTuneJob/a/b/u1", "d1");
  expect((await report(token, { state: "Running", progress: { percent: 10 } })).status).toBe(204);
  expect(latest()).toEqual({ state: "Running", progress: { percent: 10 }, reportedAt: 7 });
  expect(woken).toEqual([object]);
  await report(token, { state: "Failed", error: { code: "OutOfMemory", message: "m" } });
  expect(latest()).toMatchObject({ state: "Failed", error: { code: "OutOfMemory" } });
  await report(token, { state: "Succeeded", result: { digest: "x" } });
  await report(token, { state: "Running" });
  expect(latest()).toMatchObject({ state: "Succeeded", result: { digest: "x" } });
});

test.each([["not JSON"], [{ state: "Done" }], [{ state: "Running", more: 1 }]])(
  "a report %j is refused with the reason",
  async (body) => {
    const answer = await ask("/work/report", {
      method: "POST",
      token: tokens.issue(claims),
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("not a work report")]);
  },
);
