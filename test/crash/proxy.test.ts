import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Phase } from "./kill-switch.ts";
import { type RunningProxy, startProxy, type Written } from "./proxy.ts";

let upstream: Server;
let proxy: RunningProxy;
let watching: ServerResponse | undefined;
let phase: Phase | undefined;
const received: { method: string; authorization: string | undefined; body: string }[] = [];
const written: Written[] = [];
const kills: number[] = [];

beforeEach(async () => {
  phase = undefined;
  for (const list of [received, written, kills]) list.length = 0;
  upstream = createServer((request, response) => {
    if (request.url === "/watch") {
      watching = response;
      response.write("first\n");
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", headers } = request;
      received.push({ method, authorization: headers.authorization, body: Buffer.concat(chunks).toString() });
      response.writeHead(201, { "x-upstream": "yes" }).end("made");
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  proxy = await startProxy({
    upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    headers: { authorization: "Bearer controller" },
    classify: ({ method }) => ({
      site: method === "GET" ? undefined : "write",
      label: method,
      namespace: undefined,
    }),
    hooks: () => ({
      enter: () => phase,
      kill: () => kills.push(received.length),
      written: (one) => written.push(one),
      count: () => {},
    }),
  });
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  upstream.closeAllConnections();
  upstream.close();
});

const write = () => fetch(`${proxy.url}/things?x=1`, { method: "POST", body: "content" });

it("passes a write on with its body and the identity, and its answer back", async () => {
  const response = await write();
  expect([response.status, response.headers.get("x-upstream"), await response.text()]).toEqual([
    201,
    "yes",
    "made",
  ]);
  expect(received).toEqual([{ method: "POST", authorization: "Bearer controller", body: "content" }]);
  expect(written).toMatchObject([
    { site: "write", path: "/things?x=1", body: "content", status: 201, answer: "made" },
  ]);
  expect(kills).toEqual([]);
});

it("kills before: the write never arrives, and nobody gets an answer", async () => {
  phase = "before";
  await expect(write()).rejects.toThrow();
  expect(kills).toEqual([0]);
  expect(received).toEqual([]);
  expect(written).toEqual([]);
});

it("kills after: the write has happened, and nobody gets the answer", async () => {
  phase = "after";
  await expect(write()).rejects.toThrow();
  expect(kills).toEqual([1]);
  expect(received).toHaveLength(1);
  expect(written).toHaveLength(1);
});

it("passes a watch on while it goes on, and ends it with the reader", async () => {
  const abort = new AbortController();
  const response = await fetch(`${proxy.url}/watch`, { signal: abort.signal });
  const first = await response.body?.getReader().read();
  expect(new TextDecoder().decode(first?.value)).toBe("first\n");
  const ended = new Promise((resolve) => watching?.once("close", resolve));
  abort.abort();
  await ended;
  expect((await write()).status).toBe(201);
});
