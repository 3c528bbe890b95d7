import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import * as z from "zod";
import { digest as digestSchema } from "../../schemas/common.ts";
import { SlipwayError } from "../errors.ts";
import type { Json } from "../graph/canonical.ts";
import { ownerName } from "../runtime/effects.ts";
import { type Answer, type PostRoute, respond, type StreamRoute } from "../runtime/http.ts";
import type { ObjectRef } from "../runtime/kind.ts";
import type { BlobStore, ReportStore, WorkReport } from "../store/store.ts";
import { readManifest } from "./artifacts.ts";
import type { WorkClaims, WorkTokens } from "./tokens.ts";

export interface WorkRoutesOptions {
  readonly tokens: Pick<WorkTokens, "verify">;
  readonly blobs: BlobStore;
  readonly reports: Pick<ReportStore, "put" | "latest" | "addUpload" | "hasUpload">;
  /** Whether it is known which objects there are: until then no token can be told from one whose object is gone. */
  readonly ready: () => boolean;
  /** The uid of the object that has this name now. */
  readonly uidOf: (object: ObjectRef) => string | undefined;
  readonly wake: (object: ObjectRef) => void;
  /** Grades stored answers with a suite; both are digests. @throws SlipwayError for answers that are none */
  readonly grade: (suite: string, answers: string) => Promise<Json>;
  readonly now: () => number;
  /** Largest artifact file; 64 GiB unless given. */
  readonly maxArtifactBytes?: number;
}

const MAX_REPORT_BYTES = 256 << 10;
const MAX_ARTIFACT_BYTES = 64 * 2 ** 30;
/** Asked again by every pod, unlike a refusal. */
const STARTING = { status: 503, body: "the controller is starting\n" };

const gradeBody = z.strictObject({ answers: digestSchema });

const reportBody = z.strictObject({
  state: z.enum(["Running", "Succeeded", "Failed"]),
  progress: z.record(z.string(), z.unknown()).optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.strictObject({ code: z.string().max(128), message: z.string().max(8192) }).optional(),
});

/**
 * How pods read their input, store their output and say how far they are: no volume is shared with the
 * controller, and a pod can do only what its token says.
 */
export function workRoutes(options: WorkRoutesOptions): { streams: StreamRoute[]; posts: PostRoute[] } {
  const { reports, wake, now } = options;
  return {
    streams: [{ prefix: "/artifacts", handle: (request, response) => artifacts(request, response, options) }],
    posts: [
      {
        path: "/work/report",
        // What was said of this work before: a pod goes on where the one before it was.
        get: async ({ headers }) => {
          const claims = claimsOf(headers.authorization, options);
          if ("status" in claims) return claims;
          const latest = reports.latest(ownerOf(claims), claims.input);
          if (!latest) return { status: 404, body: "nothing was reported yet\n" };
          return { status: 200, body: JSON.stringify(latest), contentType: "application/json" };
        },
        maxBytes: MAX_REPORT_BYTES,
        handle: async ({ headers, body }) => {
          const claims = claimsOf(headers.authorization, options);
          if ("status" in claims) return claims;
          if (!claims.write) return { status: 401, body: "the token does not allow reports\n" };
          const report = parseReport(body);
          if (typeof report === "string") return { status: 400, body: `${report}\n` };
          const { object, input } = claims;
          const former = reports.latest(ownerOf(claims), input);
          await reports.put(ownerOf(claims), input, { ...withFormer(report, former), reportedAt: now() });
          wake(object);
          return { status: 204 };
        },
      },
      { path: "/work/grade", maxBytes: 1024, handle: ({ headers, body }) => graded(headers, body, options) },
    ],
  };
}

/**
 * A pod may ask what answers are worth that a pod of its object has stored, and of nothing else: cases and right answers
 * stay here.
 */
async function graded(
  headers: IncomingMessage["headers"],
  body: Buffer,
  options: WorkRoutesOptions,
): Promise<Answer> {
  const claims = claimsOf(headers.authorization, options);
  if ("status" in claims) return claims;
  if (claims.grade === undefined) return { status: 401, body: "the token does not allow grading\n" };
  const digest = answersIn(body);
  if (digest === undefined) return { status: 400, body: 'send {"answers": DIGEST}\n' };
  if (!options.reports.hasUpload(ownerOf(claims), digest) || !(await options.blobs.has(digest)))
    return { status: 404, body: "not found\n" };
  try {
    const marks = await options.grade(claims.grade, digest);
    return { status: 200, body: JSON.stringify(marks), contentType: "application/json" };
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.retryable) throw error;
    return { status: 400, body: `${error.message}\n` };
  }
}

function answersIn(body: Buffer): string | undefined {
  try {
    return gradeBody.parse(JSON.parse(body.toString("utf8"))).answers;
  } catch {
    return undefined;
  }
}

/** What a later pod goes on from. */
const OUTLIVES = ["checkpoint", "candidates"] as const;

/**
 * A new pod reports before it knows of the last checkpoint and of what was graded, and one that fails may not know of
 * them: they are kept until there are others.
 */
function withFormer<R extends { progress?: Json; state: string }>(
  report: R,
  former: WorkReport | undefined,
): R {
  const known = (former?.progress ?? {}) as Record<string, Json | undefined>;
  const kept = OUTLIVES.flatMap((name) => (known[name] === undefined ? [] : [[name, known[name]] as const]));
  if (kept.length === 0) return report;
  const own = report.progress as Record<string, Json> | undefined;
  return { ...report, progress: { ...Object.fromEntries(kept), ...own } };
}

function parseReport(body: Buffer) {
  try {
    const { state, progress, result, error } = reportBody.parse(JSON.parse(body.toString("utf8")));
    return {
      state,
      ...(progress ? { progress: progress as Json } : {}),
      ...(result ? { result: result as Json } : {}),
      ...(error ? { error } : {}),
    };
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : "the body is not JSON";
    return `not a work report: ${why}`;
  }
}

const ownerOf = ({ object, uid }: WorkClaims) => ownerName({ ref: object, uid });

/** The claims of the bearer, if the object that they were made for is still there; else what to answer. */
function claimsOf(
  authorization: string | undefined,
  { ready, tokens, uidOf }: WorkRoutesOptions,
): WorkClaims | Answer {
  if (!ready()) return STARTING;
  const token = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1];
  const claims = token === undefined ? undefined : tokens.verify(token);
  return claims && uidOf(claims.object) === claims.uid ? claims : { status: 401, body: "no valid token\n" };
}

async function artifacts(
  request: IncomingMessage,
  response: ServerResponse,
  options: WorkRoutesOptions,
): Promise<void> {
  const { blobs } = options;
  const claims = claimsOf(request.headers.authorization, options);
  if ("status" in claims) return respond(request, response, claims);
  const digest = /^\/artifacts\/(sha256:[0-9a-f]{64})$/.exec(request.url ?? "")?.[1];
  if (request.method === "PUT" && request.url === "/artifacts") {
    if (!claims.write)
      return respond(request, response, { status: 403, body: "the token only allows reading\n" });
    try {
      const stored = await blobs.putStream(request, options.maxArtifactBytes ?? MAX_ARTIFACT_BYTES);
      await options.reports.addUpload(ownerOf(claims), stored.digest);
      return respond(request, response, {
        status: 201,
        body: JSON.stringify(stored),
        contentType: "application/json",
      });
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      return respond(request, response, { status: 413, body: `${error.message}\n` });
    }
  }
  if ((request.method !== "GET" && request.method !== "HEAD") || digest === undefined) {
    return respond(request, response, { status: 404, body: "not found\n" });
  }
  // The same answer for what is not there and what may not be read: a digest must not be guessed by asking.
  if (!(await mayRead(claims, digest, options)) || !(await blobs.has(digest))) {
    return respond(request, response, { status: 404, body: "not found\n" });
  }
  const start = startOf(request.headers.range);
  const { bytes, stream } = await blobs.open(digest, start);
  if (start > 0 && start >= bytes) {
    stream.destroy();
    return respond(request, response, { status: 416, body: `the file has ${bytes} bytes\n` });
  }
  const rest = { "content-type": "application/octet-stream", "content-length": bytes - start };
  if (start === 0) response.writeHead(200, rest);
  else response.writeHead(206, { ...rest, "content-range": `bytes ${start}-${bytes - 1}/${bytes}` });
  if (request.method === "HEAD") {
    stream.destroy();
    response.end();
    return;
  }
  await pipeline(stream, response);
}

/** Of a download that goes on: `bytes=N-`. Any other range is answered with everything, as RFC 9110 allows. */
function startOf(range: string | undefined): number {
  const start = Number(/^bytes=(\d{1,15})-$/.exec(range ?? "")?.[1] ?? 0);
  return Number.isSafeInteger(start) ? start : 0;
}

/** What the token names, the files of the artifacts that it names, and what pods of the same object have stored. */
async function mayRead(
  claims: WorkClaims,
  digest: string,
  { blobs, reports }: WorkRoutesOptions,
): Promise<boolean> {
  if (claims.read.includes(digest) || reports.hasUpload(ownerOf(claims), digest)) return true;
  for (const manifest of claims.read) {
    if ((await filesOf(manifest, blobs)).has(digest)) return true;
  }
  return false;
}

/** The files that a manifest lists; none when the blob is no manifest. */
async function filesOf(digest: string, blobs: BlobStore): Promise<ReadonlySet<string>> {
  return new Set((await readManifest(digest, blobs))?.files.map((file) => file.digest));
}
