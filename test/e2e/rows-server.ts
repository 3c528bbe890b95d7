import { createServer, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Issued } from "../certificates.ts";
import { careless, rowLines, trainingRows } from "../training-repository.ts";

/** A server of rows, as outside sources are: some of them not as one would wish. */
export interface RowsServer extends AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
  /** Whether `/vanishing.jsonl` breaks off in the middle, from now on. */
  vanishing: boolean;
}

/** Opens `/vault.jsonl`. */
export const VAULT_TOKEN = "canary-vault-8f21";

const LINE_BYTES = 100 << 20;
const ROWS = rowLines(trainingRows(400));

/** @param issued what it shows of itself over TLS; plain HTTP without */
export async function startRowsServer(issued?: Issued): Promise<RowsServer> {
  const state = { vanishing: true };
  const asked: string[] = [];
  const listener: RequestListener = (request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (path === "/careless.jsonl") response.end(rowLines(careless));
    else if (path === "/vault.jsonl")
      if (request.headers.authorization === `Bearer ${VAULT_TOKEN}`) response.end(rowLines(careless));
      else response.writeHead(401).end();
    else if (path === "/long-line.jsonl") void longLine(response);
    else if (path === "/vanishing.jsonl" && state.vanishing) {
      response.writeHead(200, { "content-length": ROWS.length, etag: '"1"' });
      // It is there when it is looked up, and gone while it is read.
      if (request.method === "HEAD") response.end();
      else response.write(ROWS.slice(0, ROWS.length / 2), () => response.destroy());
    } else if (path === "/broken.jsonl") response.end(`${ROWS.slice(0, ROWS.indexOf("\n"))}\nno json\n`);
    else if (path.endsWith(".jsonl")) response.end(ROWS);
    else response.writeHead(404).end();
  };
  const server = issued ? createTlsServer(issued, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `${issued ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get vanishing() {
      return state.vanishing;
    },
    set vanishing(value) {
      state.vanishing = value;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Three good rows around a line of 100 MB. */
async function longLine(response: ServerResponse): Promise<void> {
  const [first, second, third] = trainingRows(3).map((row) => `${JSON.stringify(row)}\n`);
  const write = (text: string | Buffer) =>
    new Promise<void>((resolve) => {
      if (response.write(text)) resolve();
      else response.once("drain", resolve);
    });
  await write(`${first}${second}`);
  const block = Buffer.alloc(1 << 20, "x");
  await write('{"prompt":"');
  for (let sent = 0; sent < LINE_BYTES; sent += block.length) await write(block);
  await write('","completion":"x"}\n');
  response.end(third);
}
