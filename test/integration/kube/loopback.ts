import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeClient, type KubeClientOptions } from "../../../controller/kube/client.ts";
import type { Connection } from "../../../controller/kube/credentials.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface Loopback extends AsyncDisposable {
  readonly client: KubeClient;
  /** Method and path of every request, in order. */
  readonly requests: string[];
  readonly invalidated: number;
}

/** A server that misbehaves on purpose, for faults which the real API server cannot be made to show. */
export async function loopback(handler: Handler, options: KubeClientOptions = {}): Promise<Loopback> {
  const requests: string[] = [];
  let invalidated = 0;
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handler(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connection: Connection = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    basePath: "",
    proxyUrl: undefined,
    namespace: undefined,
    credentials: () => Promise.resolve({ tls: {}, headers: { authorization: "Bearer s3cr3t-token" } }),
    invalidate: () => {
      invalidated++;
    },
  };
  const client = new KubeClient(connection, options);
  return {
    client,
    requests,
    get invalidated() {
      return invalidated;
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
