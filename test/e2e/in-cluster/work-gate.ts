import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { forward } from "../../forward.ts";

/** The controller as pods reach it, behind a gate that holds them in the middle of their work. */
export interface WorkGate extends AsyncDisposable {
  readonly url: string;
  /** What pods have reported last of how far they are. */
  readonly progress: { readonly phase: string; readonly percent: number } | undefined;
  /** How many requests wait. */
  readonly waiting: number;
  /** Which requests for artifacts wait from now on: pods read with GET and store with PUT. Others that wait go on. */
  hold(method: "GET" | "PUT" | undefined): void;
}

/** @param host address that pods reach; `upstream` is the controller's own */
export async function startWorkGate(host: string, upstream: string): Promise<WorkGate> {
  let held: string | undefined;
  let waiting: { method: string; go: () => void }[] = [];
  let progress: WorkGate["progress"];
  const { hostname, port } = new URL(upstream);
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = "", url = "", headers } = request;
    if (url.startsWith("/artifacts") && method === held)
      await new Promise<void>((go) => waiting.push({ method, go }));
    const forwarded = forward(response, { host: hostname, port, path: url, method, headers });
    if (url !== "/work/report") return void request.pipe(forwarded);
    const body = await buffer(request);
    progress = (JSON.parse(body.toString()) as { progress?: WorkGate["progress"] }).progress ?? progress;
    forwarded.end(body);
  };
  // Pods die in the middle of a request.
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    get progress() {
      return progress;
    },
    get waiting() {
      return waiting.length;
    },
    hold(method) {
      held = method;
      for (const { go } of waiting.filter((each) => each.method !== held)) go();
      waiting = waiting.filter((each) => each.method === held);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
