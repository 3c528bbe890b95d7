import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLogger } from "../log.ts";
import { type HttpServer, type PostRequest, type Readiness, startHttpServer } from "./http.ts";
import { Metrics } from "./metrics.ts";

let server: HttpServer;
let base: string;
let readiness: Readiness;
let received: PostRequest[];
const metrics = new Metrics({ processMetrics: false });

beforeEach(async () => {
  received = [];
  readiness = { ready: true, text: "leader, caches synced" };
  server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    readiness: () => readiness,
    metrics,
    log: createLogger("silent"),
    routes: [
      {
        path: "/hooks/github",
        maxBytes: 16,
        async handle(request) {
          received.push(request);
          if (request.body.toString() === "throw") throw new Error("secret detail");
          return { status: 202, body: "accepted" };
        },
      },
    ],
  });
  base = `http://127.0.0.1:${server.port}`;
});
afterEach(() => server.close());

describe("probes and metrics", () => {
  test("healthz, and readyz as told", async () => {
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${base}/readyz`)).text()).toBe("leader, caches synced\n");
    readiness = { ready: false, text: "starting, caches not synced" };
    const response = await fetch(`${base}/readyz`);
    expect([response.status, await response.text()]).toEqual([503, "starting, caches not synced\n"]);
  });

  test("metrics in Prometheus' text format", async () => {
    metrics.observeReconcile("Toy", "changed", 0.002);
    const response = await fetch(`${base}/metrics`);
    expect(response.headers.get("content-type")).toContain("text/plain");
    expect(await response.text()).toContain('slipway_reconcile_total{kind="Toy",result="changed"} 1');
  });

  test.each([
    ["GET", "/nothing", 404],
    ["POST", "/healthz", 404],
    ["GET", "/hooks/github", 405],
  ])("%s %s is %d", async (method, path, status) => {
    expect((await fetch(base + path, { method })).status).toBe(status);
  });
});

describe("POST routes", () => {
  test("get the bytes as sent, the headers and the query", async () => {
    const body = Buffer.from([0, 255, 10, 13]);
    const headers = { "x-hub-signature-256": "sha256=ab" };
    const response = await fetch(`${base}/hooks/github?a=1`, { method: "POST", body, headers });
    expect([response.status, await response.text()]).toEqual([202, "accepted"]);
    expect(received[0]?.body).toEqual(body);
    expect(received[0]?.headers["x-hub-signature-256"]).toBe("sha256=ab");
    expect(received[0]?.url.searchParams.get("a")).toBe("1");
  });

  test("refuse a body above the limit, announced or not, without handling it", async () => {
    const announced = await fetch(`${base}/hooks/github`, { method: "POST", body: "x".repeat(17) });
    expect(announced.status).toBe(413);
    expect(await unannounced(17)).toContain("413");
    expect(await unannounced(16)).toContain("202");
    expect(received.map(({ body }) => body.byteLength)).toEqual([16]);
  });

  test("do not show what went wrong inside", async () => {
    const response = await fetch(`${base}/hooks/github`, { method: "POST", body: "throw" });
    expect([response.status, await response.text()]).toEqual([500, "internal error\n"]);
  });

  /** A chunked request, which does not say its length; the status line of the answer. */
  function unannounced(bytes: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(server.port, "127.0.0.1", () => {
        socket.write("POST /hooks/github HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        socket.write(`${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`);
      });
      socket.once("data", (data) => {
        resolve(data.toString().split("\r\n", 1)[0] ?? "");
        socket.destroy();
      });
      socket.once("error", reject);
    });
  }
});

test("a port in use is an error", async () => {
  const options = {
    port: server.port,
    host: "127.0.0.1",
    readiness: () => readiness,
    metrics,
    log: createLogger("silent"),
  };
  await expect(startHttpServer(options)).rejects.toMatchObject({ code: "EADDRINUSE" });
});

test("close ends although a client keeps its connection", async () => {
  await (await fetch(`${base}/healthz`)).text();
  const started = performance.now();
  await server.close();
  expect(performance.now() - started).toBeLessThan(2_500);
});
