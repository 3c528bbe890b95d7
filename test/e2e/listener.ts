import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Listener {
  readonly baseURL: string;
  /** Every request that came, with its headers, one text each. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** A host that nobody should send anything to. It takes whatever comes. */
export async function startListener(): Promise<Listener> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
    response.statusCode = 404;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
