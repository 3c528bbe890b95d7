import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";

/**
 * The read routes of the Hugging Face Hub over local folders, as far as Slipway and huggingface_hub use them: a repository is a folder
 * with one branch, `main`, whose commit is a digest of its content. Files of 1 MiB and more are "large": they have a
 * SHA-256 and are served by a redirect to another path, as the real Hub sends to its storage.
 */
export interface HubOptions {
  /** Folder of each dataset, by `organisation/name`. */
  readonly datasets?: Readonly<Record<string, string>>;
  readonly models?: Readonly<Record<string, string>>;
  /** Asked for as a bearer token when given. */
  readonly token?: string;
  /** Sees each request before it is answered, and answers it itself by returning true. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface Hub {
  readonly url: string;
  /** Requests so far: `GET /path`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

const LARGE = 1 << 20;

interface HubFile {
  readonly path: string;
  readonly data: Buffer;
  readonly oid: string;
  readonly sha256: string;
}

/** @param port 0 for a free one; `host` 0.0.0.0 lets pods reach it */
export async function startHub(options: HubOptions, port = 0, host = "127.0.0.1"): Promise<Hub> {
  const requests: string[] = [];
  let storage = 0;
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    requests.push(`${request.method} ${request.url}`);
    if (options.intercept?.(request, response)) return;
    answer(options, storage, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  };
  // The real one's storage is another host: clients tell by that where what they are told of a file ends.
  const servers = [createServer(handle), createServer(handle)] as const;
  await Promise.all(
    servers.map(
      (server, i) => new Promise<void>((resolve) => server.listen(i === 0 ? port : 0, host, resolve)),
    ),
  );
  const base = `http://${host === "0.0.0.0" ? "127.0.0.1" : host}`;
  const [main, other] = servers.map((server) => (server.address() as AddressInfo).port);
  storage = other!;
  return {
    url: `${base}:${main}`,
    requests,
    close: async () => {
      await Promise.all(
        servers.map(
          (server) =>
            new Promise<void>((resolve) => {
              server.close(() => resolve());
              server.closeAllConnections();
            }),
        ),
      );
    },
  };
}

async function answer(
  { datasets = {}, models = {}, token }: HubOptions,
  storage: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://hub");
  const path = decodeURIComponent(url.pathname);
  const stored = /^\/storage\/([0-9a-f]{64})$/.exec(path);
  if (stored) {
    // Another host in the real Hub: whoever sends the token there gives it away.
    if (request.headers.authorization) return void response.writeHead(400).end("a token came to the storage");
    for (const folder of [...Object.values(datasets), ...Object.values(models)]) {
      const files = await filesOf(folder);
      const file = files.find(({ sha256 }) => sha256 === stored[1]);
      if (!file) continue;
      // huggingface_hub follows a redirect on the same host at once, and looks for the commit where it ends.
      response.setHeader("x-repo-commit", commitOf(files));
      return send(file, request, response);
    }
    return void response.writeHead(404).end();
  }
  if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
    return void response.writeHead(401).end("Invalid credentials");
  const api = /^\/api\/(datasets|models)\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+)(?:\/(.*))?)?$/.exec(
    path,
  );
  const file = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
  const repo = api?.[2] ?? file?.[2] ?? "";
  const folder = ((api ? api[1] === "datasets" : file?.[1]) ? datasets : models)[repo];
  if (folder === undefined)
    return void response.writeHead(404, { "x-error-code": "RepoNotFound" }).end("Repository not found");
  const files = await filesOf(folder);
  const sha = commitOf(files);
  const revision = api?.[4] ?? file?.[3] ?? "main";
  if (revision !== "main" && revision !== sha)
    return void response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end("Revision Not Found");
  if (file) {
    const found = files.find((each) => each.path === file[4]);
    if (!found) return void response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    response.setHeader("x-repo-commit", sha);
    if (found.data.byteLength < LARGE) return send(found, request, response);
    response.setHeader("x-linked-size", found.data.byteLength);
    response.setHeader("x-linked-etag", `"${found.sha256}"`);
    const { hostname } = new URL(`http://${request.headers.host}`);
    const location = `http://${hostname}:${storage}/storage/${found.sha256}`;
    return void response.writeHead(302, { location }).end();
  }
  response.setHeader("content-type", "application/json");
  if (api?.[3] !== "tree") {
    const siblings = files.map((each) => ({ rfilename: each.path }));
    return void response.end(JSON.stringify({ id: repo, sha, private: false, siblings, tags: [] }));
  }
  const under = api[5] ?? "";
  const entries = files
    .filter((each) => under === "" || each.path.startsWith(`${under}/`))
    .map((each) => {
      const size = each.data.byteLength;
      const lfs = size < LARGE ? {} : { lfs: { oid: each.sha256, size, pointerSize: 134 } };
      return { type: "file", oid: each.oid, size, path: each.path, ...lfs };
    });
  // Pages of 50, as the real one has pages of 1,000.
  const from = Number(url.searchParams.get("cursor") ?? 0);
  if (from + 50 < entries.length)
    response.setHeader("link", `<${url.pathname}?recursive=true&cursor=${from + 50}>; rel="next"`);
  response.end(JSON.stringify(entries.slice(from, from + 50)));
}

function send({ data, sha256, oid }: HubFile, request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("etag", `"${data.byteLength < LARGE ? oid : sha256}"`);
  response.setHeader("accept-ranges", "bytes");
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, data.byteLength) : data.byteLength;
  if (range) response.setHeader("content-range", `bytes ${start}-${end - 1}/${data.byteLength}`);
  response.setHeader("content-length", end - start);
  response.writeHead(range ? 206 : 200);
  response.end(request.method === "HEAD" ? undefined : data.subarray(start, end));
}

const commitOf = (files: readonly HubFile[]) =>
  createHash("sha1")
    .update(files.map(({ path, oid }) => `${oid} ${path}\n`).join(""))
    .digest("hex");

const read = new Map<string, { stamp: string; file: HubFile }>();

async function filesOf(folder: string): Promise<HubFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries.flatMap((entry) => (entry.isFile() ? [hubFile(folder, join(entry.parentPath, entry.name))] : [])),
  );
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function hubFile(folder: string, at: string): Promise<HubFile> {
  const { mtimeMs, size } = await stat(at);
  const stamp = `${mtimeMs}/${size}`;
  const known = read.get(at);
  if (known?.stamp === stamp) return known.file;
  const data = await readFile(at);
  const oid = createHash("sha1").update(`blob ${data.byteLength}\0`).update(data).digest("hex");
  const sha256 = createHash("sha256").update(data).digest("hex");
  const file = { path: relative(folder, at), data, oid, sha256 };
  read.set(at, { stamp, file });
  return file;
}
