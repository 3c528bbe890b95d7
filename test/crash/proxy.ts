import {
  type Agent,
  createServer,
  Agent as HttpAgent,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as requestHttp,
  type ServerResponse,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { AddressInfo } from "node:net";
import type { Phase } from "./kill-switch.ts";
import type { Classified, Request } from "./sites.ts";

/** What a write said and what was answered; only of writes that were passed on. */
export interface Written {
  readonly site: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
  readonly answer: string;
}

export interface ProxyHooks {
  /** A write is about to be passed on. @returns when to kill the controller, if at this write */
  enter(site: string, body: Buffer): Phase | undefined;
  /** Kills it: after this it sends and receives nothing. */
  kill(): void;
  /** A write has been answered in full. */
  written(written: Written): void;
  /** Any request, by what it is. */
  count(label: string): void;
}

export interface ProxyOptions {
  /** Scheme, host and port. */
  readonly upstream: string;
  readonly tls?: { readonly ca?: string | Buffer | undefined; readonly servername?: string | undefined };
  /** Added to each request: the identity that plain HTTP cannot carry. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly classify: (request: Request) => Classified;
  /** Looked up for each request, so that one proxy serves many runs. */
  readonly hooks: () => ProxyHooks | undefined;
  /** A write was answered, and the answer is not passed on yet. */
  readonly onWritten?: () => void;
}

export interface RunningProxy extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly url: string;
}

/** Hop-by-hop headers (RFC 9110, 7.6.1) and what the upstream connection sets itself. */
const DROPPED = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "host",
  "te",
  "trailer",
]);

/** A reverse proxy on loopback that can stop a write on its way there or its answer on the way back. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const upstream = new URL(options.upstream);
  const secure = upstream.protocol === "https:";
  const agent: Agent = secure
    ? new HttpsAgent({ keepAlive: true, ...options.tls })
    : new HttpAgent({ keepAlive: true });
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(String(error));
    });
  });
  // The controller's own limits are under test, not this server's.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 120_000;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    const { site, label } = options.classify({ method, url, contentType: request.headers["content-type"] });
    const hooks = options.hooks();
    hooks?.count(label);
    if (site === undefined) return stream(request, response);
    const body = await readAll(request);
    const phase = hooks?.enter(site, body);
    if (phase === "before") {
      hooks?.kill();
      response.destroy();
      return;
    }
    const answer = await send(request, body);
    const content = await readAll(answer);
    const status = answer.statusCode ?? 502;
    options.onWritten?.();
    hooks?.written({ site, method, path: url, body: body.toString(), status, answer: content.toString() });
    if (phase === "after") {
      hooks?.kill();
      response.destroy();
      return;
    }
    response.writeHead(status, headersOf(answer.headers));
    response.end(content);
  }

  function open(request: IncomingMessage, body: Buffer | undefined) {
    const headers: OutgoingHttpHeaders = {
      ...headersOf(request.headers),
      ...options.headers,
      host: upstream.host,
    };
    if (body !== undefined) headers["content-length"] = body.length;
    const send = secure ? requestHttps : requestHttp;
    return send({
      host: upstream.hostname,
      port: upstream.port || (secure ? 443 : 80),
      method: request.method,
      path: request.url,
      headers,
      agent,
    });
  }

  function send(request: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      open(request, body).on("response", resolve).on("error", reject).end(body);
    });
  }

  /** Reads and watches: passed on as they come, ended when either side ends. */
  function stream(request: IncomingMessage, response: ServerResponse): void {
    const outgoing = open(request, undefined);
    outgoing.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, headersOf(answer.headers));
      response.flushHeaders();
      answer.on("error", () => response.destroy());
      answer.pipe(response);
    });
    outgoing.on("error", (error) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else response.writeHead(502).end(String(error));
    });
    response.on("close", () => outgoing.destroy());
    request.pipe(outgoing);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}

function headersOf(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !DROPPED.has(name)));
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
