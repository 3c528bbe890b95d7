import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** What to answer instead: another body or status; undefined leaves the answer as it is. */
export type Disturb = (
  request: { method: string; path: string },
  answer: { status: number; body: string },
) => { status?: number; body?: string } | undefined;

export interface ForgeProxy {
  readonly url: string;
  disturb: Disturb | undefined;
  close(): Promise<void>;
}

/** A forge's API as it is on a bad day: what goes through may be changed. */
export async function startForgeProxy(upstream: string): Promise<ForgeProxy> {
  const server = createServer((request, response) => {
    void forward(request).then(
      ({ status, type, body }) => {
        response.writeHead(status, { "content-type": type });
        response.end(body);
      },
      () => response.destroy(),
    );
  });
  const proxy = {
    url: "",
    disturb: undefined as Disturb | undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  async function forward(request: IncomingMessage) {
    const { method = "GET", url: path = "/", headers } = request;
    const sent: Buffer[] = [];
    for await (const chunk of request) sent.push(chunk as Buffer);
    const answer = await fetch(`${upstream}${path}`, {
      method,
      headers: {
        authorization: headers.authorization ?? "",
        "content-type": headers["content-type"] ?? "application/json",
      },
      ...(sent.length > 0 ? { body: Buffer.concat(sent) } : {}),
    });
    const real = { status: answer.status, body: await answer.text() };
    const type = answer.headers.get("content-type") ?? "application/json";
    return { ...real, ...proxy.disturb?.({ method, path }, real), type };
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
