import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../log.ts";
import type { Metrics } from "./metrics.ts";

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly contentType?: string;
}

export interface PostRequest {
  readonly headers: IncomingHttpHeaders;
  /** As it was sent: signatures are over these bytes. */
  readonly body: Buffer;
  readonly url: URL;
}

export interface PostRoute {
  /** The whole path. */
  readonly path: string;
  /** More is answered 413 without being read; 1 MiB unless given. */
  readonly maxBytes?: number;
  readonly handle: (request: PostRequest) => Promise<Answer>;
  /** Answers GET at the same path. */
  readonly get?: (request: Pick<PostRequest, "headers" | "url">) => Promise<Answer>;
}

/** A route that reads and writes streams itself, and may take as long as it needs. */
export interface StreamRoute {
  /** The path, and every path below it. */
  readonly prefix: string;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

export interface Readiness {
  readonly ready: boolean;
  /** One line for a person. */
  readonly text: string;
}

export interface HttpServerOptions {
  readonly port: number;
  /** All addresses unless given. */
  readonly host?: string;
  readonly readiness: () => Readiness;
  readonly metrics: Metrics;
  readonly routes?: readonly PostRoute[];
  readonly streams?: readonly StreamRoute[];
  readonly log: Logger;
}

export interface HttpServer {
  readonly port: number;
  /** Answers what is under way, 2 s at most, and ends. */
  close(): Promise<void>;
}

const DEFAULT_MAX_BYTES = 1 << 20;
/** A body that is read whole has to come within this. */
const BODY_TIMEOUT_MS = 20_000;
/** A stream that stands still for so long has lost its other end. */
const IDLE_TIMEOUT_MS = 120_000;

/** The probes, the metrics and the webhooks' way in. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const routes = new Map(options.routes?.map((route) => [route.path, route]));
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 0 }, (request, response) => {
    const fail = (err: unknown) => {
      options.log.error({ err, path: pathOf(request) }, "a request failed");
      if (response.headersSent) response.destroy();
      else respond(request, response, { status: 500, body: "internal error\n" });
    };
    const stream = options.streams?.find((route) => isBelow(pathOf(request), route.prefix));
    const answered = stream
      ? stream.handle(request, response)
      : answer(request, routes, options).then((found) => respond(request, response, found));
    answered.catch((err) => {
      if (err instanceof TooLarge)
        respond(request, response, { status: 413, body: "the body is too large\n" });
      else if (err instanceof TooSlow)
        respond(request, response, { status: 408, body: "the body came too slowly\n" });
      else fail(err);
    });
  });
  server.setTimeout(IDLE_TIMEOUT_MS);
  server.maxConnections = 512;
  server.maxHeadersCount = 100;
  await listen(server, options.port, options.host);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(server),
  };
}

/** Sends a whole answer. */
export function respond(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status, body = "", contentType = "text/plain; charset=utf-8" } = answer;
  // What was not read would be taken for the next request.
  const headers = { "content-type": contentType, ...(request.complete ? {} : { connection: "close" }) };
  response.writeHead(status, headers).end(body);
}

function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

async function answer(
  request: IncomingMessage,
  routes: ReadonlyMap<string, PostRoute>,
  { readiness, metrics }: HttpServerOptions,
): Promise<Answer> {
  const path = pathOf(request);
  const route = routes.get(path);
  if (route) {
    if (request.method === "GET" && route.get)
      return route.get({ headers: request.headers, url: urlOf(request) });
    if (request.method !== "POST") return { status: 405, body: "POST only\n" };
    const body = await readBody(request, route.maxBytes ?? DEFAULT_MAX_BYTES);
    return route.handle({ headers: request.headers, body, url: urlOf(request) });
  }
  if (request.method !== "GET" && request.method !== "HEAD") return { status: 404, body: "not found\n" };
  switch (path) {
    case "/healthz":
      // The event loop answers: that is all that a restart could mend.
      return { status: 200, body: "ok\n" };
    case "/readyz": {
      const { ready, text } = readiness();
      return { status: ready ? 200 : 503, body: `${text}\n` };
    }
    case "/metrics":
      return { status: 200, body: await metrics.text(), contentType: metrics.registry.contentType };
    default:
      return { status: 404, body: "not found\n" };
  }
}

class TooLarge extends Error {}
class TooSlow extends Error {}

function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
      reject(new TooLarge());
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => {
      request.pause().removeAllListeners("data");
      reject(new TooSlow());
    }, BODY_TIMEOUT_MS);
    request.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      // Paused, not destroyed: the answer still has to go out over this connection.
      request.pause().removeAllListeners("data");
      reject(new TooLarge());
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", reject);
    request.once("close", () => {
      clearTimeout(timer);
      reject(new Error("the sender closed the connection"));
    });
  });
}

function urlOf(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? "/", "http://localhost");
  return url ?? new URL("http://localhost/");
}

function pathOf(request: IncomingMessage): string {
  return urlOf(request).pathname;
}

function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), 2_000);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
