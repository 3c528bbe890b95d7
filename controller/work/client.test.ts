import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blobDigest } from "../graph/canonical.ts";
import { WorkClient } from "./client.ts";

const DATA = Buffer.alloc(200_000, 7);
const DIGEST = blobDigest(DATA);

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let answers: Answer[];
let seen: string[];
let client: WorkClient;
const stop = new AbortController();

beforeEach(async () => {
  [answers, seen] = [[], []];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    (answers.length > 1 ? answers.shift()! : answers[0]!)(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = new WorkClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, "t", stop.signal, 1);
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Ends in the middle. */
const breaking: Answer = (request, response) => {
  request.resume();
  response.writeHead(200, { "content-length": DATA.byteLength });
  response.write(DATA.subarray(0, 1000), () => response.destroy());
};
const status =
  (code: number): Answer =>
  (request, response) => {
    request.resume();
    response.writeHead(code).end("said why");
  };
const whole: Answer = (_, response) => void response.end(DATA);

async function keep(data: AsyncIterable<Uint8Array>): Promise<{ digest: string }> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of data) chunks.push(chunk);
  return { digest: blobDigest(Buffer.concat(chunks)) };
}

describe("a blob", () => {
  test("is read from its beginning again when the connection breaks or the controller is busy", async () => {
    answers = [breaking, status(503), whole];
    await client.download(DIGEST, keep);
    expect(seen).toEqual(Array(3).fill(`GET /artifacts/${DIGEST} Bearer t`));
  });

  test("of another content is never kept as what it is not", async () => {
    answers = [(_, response) => void response.end("something else")];
    await expect(client.download(DIGEST, keep)).rejects.toMatchObject({ code: "ControllerUnreachable" });
  });

  test("that is not given out is not asked for again", async () => {
    answers = [status(404)];
    await expect(client.download(DIGEST, keep)).rejects.toMatchObject({
      code: "BlobNotFound",
      retryable: false,
    });
    expect(seen).toHaveLength(1);
  });

  test("is stored whole, from its beginning at each try", async () => {
    const arrived: Buffer[] = [];
    const storing: Answer = async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      arrived.push(Buffer.concat(chunks));
      response.writeHead(201).end(JSON.stringify({ digest: blobDigest(arrived.at(-1)!) }));
    };
    answers = [status(500), (request) => void request.destroy(), storing];
    let opened = 0;
    await client.upload(async () => {
      opened++;
      return Readable.from([DATA]);
    }, DIGEST);
    expect(opened).toBe(3);
    expect(arrived).toEqual([DATA]);
  });
});

describe("a report", () => {
  const report = () => client.report({ state: "Running", progress: { percent: 1 } });

  test("is sent again until it arrives", async () => {
    answers = [status(502), status(204)];
    await report();
    expect(seen).toEqual(Array(2).fill("POST /work/report Bearer t"));
  });

  test("that is refused is not sent again, and the answer is told", async () => {
    answers = [status(401)];
    await expect(report()).rejects.toMatchObject({
      code: "ControllerRefused",
      message: "HTTP 401: said why",
      retryable: false,
    });
    expect(seen).toHaveLength(1);
  });

  test("follows no redirect: the token goes nowhere else", async () => {
    answers = [(_, response) => void response.writeHead(302, { location: "/elsewhere" }).end()];
    await expect(report()).rejects.toMatchObject({ code: "ControllerUnreachable" });
    expect(seen.some((each) => each.includes("elsewhere"))).toBe(false);
  });
});
