import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cleanToken } from "./credential.ts";
import { GiteaForge } from "./gitea.ts";
import { GitHubForge } from "./github.ts";
import { retryAfter } from "./http.ts";

/** Only what a well server does not do; everything else is tested on a real Gitea. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const TOKEN = "t0ken-of-ours";
const signal = AbortSignal.timeout(30_000);
let server: Server;
let answers: Answer[];
let seen: string[];

beforeEach(async () => {
  answers = [];
  seen = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume();
    (answers.shift() ?? json(200, []))(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };
}
const text = (status: number, body: string, headers: Record<string, string> = {}): Answer => {
  return (_request, response) => void response.writeHead(status, headers).end(body);
};
const breakOff: Answer = (request) => void request.socket.destroy();
const hang: Answer = () => {};

function connect(options: { timeout?: number } = {}): GiteaForge {
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`;
  return new GiteaForge({ apiUrl, repository: "team/app", token: TOKEN, backoff: 1, ...options });
}

const comment = {
  id: 1,
  body: "x",
  user: { login: "slipway" },
  created_at: "2026-01-01T00:00:00Z",
  html_url: "u",
};

const branch = { ref: "main", sha: "abc", label: "main", repo: { full_name: "team/app" } };
const pull = {
  number: 7,
  title: "Change",
  state: "open",
  base: branch,
  head: branch,
  html_url: "u",
  updated_at: "2026-01-01T00:00:00Z",
};

describe("a read", () => {
  it("is repeated after 5xx, a broken connection, a timeout and 429", async () => {
    answers = [text(502, "<html>Bad gateway"), breakOff, hang, json(429, {}, { "retry-after": "0" })];
    expect(await connect({ timeout: 300 }).listOpenPullRequests(signal)).toEqual([]);
    expect(seen).toHaveLength(5);
  });

  it("is given up on after five attempts", async () => {
    answers = Array.from({ length: 9 }, () => text(503, "busy"));
    await expect(connect().listOpenPullRequests(signal)).rejects.toMatchObject({
      code: "ForgeUnavailable",
      retryable: true,
      message: "Gitea could not answer (503) (GET /repos/team/app/pulls): busy",
    });
    expect(seen).toHaveLength(5);
  });

  it("waits as long as it is told to", async () => {
    answers = [json(503, {}, { "retry-after": "1" })];
    const start = performance.now();
    await connect().listOpenPullRequests(signal);
    expect(performance.now() - start).toBeGreaterThan(990);
  });

  it("leaves a long wait to the caller", async () => {
    answers = [json(429, { message: "slow down" }, { "retry-after": "3600" })];
    await expect(connect().listOpenPullRequests(signal)).rejects.toMatchObject({ code: "ForgeRateLimited" });
    expect(seen).toHaveLength(1);
  });

  it("is not repeated when the answer is final", async () => {
    for (const [status, code] of [
      [401, "ForgeUnauthorized"],
      [403, "ForgeUnauthorized"],
      [404, "ForgeNotFound"],
      [422, "ForgeRejected"],
    ] as const) {
      answers = [json(status, { message: "no" })];
      await expect(connect().getPullRequest(7, signal)).rejects.toMatchObject({ code, retryable: false });
    }
    expect(seen).toHaveLength(4);
  });

  it("refuses an answer of another shape and says where", async () => {
    answers = [text(200, "<html>Log in")];
    await expect(connect().listOpenPullRequests(signal)).rejects.toMatchObject({ code: "ForgeUnavailable" });
    answers = [json(200, { ...comment, number: "7" })];
    await expect(connect().getPullRequest(7, signal)).rejects.toThrow(/number/);
  });

  it("ends when a server gives the same page again and again", async () => {
    answers = Array.from({ length: 5 }, () => json(200, [comment]));
    expect(await connect().listComments(7, signal)).toHaveLength(1);
    expect(seen).toHaveLength(2);
  });
});

describe("a create", () => {
  it("is sent once when it is unclear what became of it", async () => {
    for (const unclear of [text(502, ""), breakOff, hang]) {
      answers = [unclear, json(201, comment)];
      seen = [];
      const failed = connect({ timeout: 200 }).createComment(7, "x", signal);
      await expect(failed).rejects.toMatchObject({ code: "ForgeUnavailable", retryable: true });
      expect(seen).toHaveLength(1);
    }
  });

  it("asks after a 500 whether its pull request is there, and is not sent again either way", async () => {
    answers = [text(500, "oops"), json(404, { message: "no" })];
    await expect(connect().createComment(7, "x", signal)).rejects.toMatchObject({ code: "ForgeNotFound" });
    answers = [text(500, "oops"), json(200, pull)];
    await expect(connect().createComment(7, "x", signal)).rejects.toMatchObject({ code: "ForgeUnavailable" });
    const asked = ["POST /api/v1/repos/team/app/issues/7/comments", "GET /api/v1/repos/team/app/pulls/7"];
    expect(seen).toEqual([...asked, ...asked]);
  });

  it("is sent again when it was certainly not done", async () => {
    answers = [json(429, {}), json(201, comment)];
    expect((await connect().createComment(7, "x", signal)).id).toBe("1");
  });
});

describe("the token", () => {
  it("is sent as Gitea wants it and follows no redirect", async () => {
    let authorization: string | undefined;
    answers = [
      (request, response) => {
        authorization = request.headers.authorization;
        text(307, "", { location: "http://127.0.0.1:9/stolen" })(request, response);
      },
    ];
    await expect(connect().listOpenPullRequests(signal)).rejects.toMatchObject({
      code: "ForgeNotFound",
      hint: expect.stringContaining("new URL"),
    });
    expect(authorization).toBe(`token ${TOKEN}`);
    expect(seen).toHaveLength(1);
  });

  it("is in no error, nor in what caused it", async () => {
    const errors: unknown[] = [];
    const keep = (error: unknown) => errors.push(error);
    answers = [json(401, { message: "invalid" })];
    await connect().listOpenPullRequests(signal).catch(keep);
    answers = [breakOff];
    await connect().createComment(7, "x", signal).catch(keep);
    const closed = connect();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await closed.createComment(7, "x", signal).catch(keep);
    expect(errors).toHaveLength(3);
    for (let error of errors) {
      for (; error instanceof Error; error = error.cause) {
        expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(TOKEN);
      }
    }
    expect(errors[2]).toMatchObject({
      code: "ForgeUnavailable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

it("takes a token with a line end, and does not show one that is no header", async () => {
  const apiUrl = "http://127.0.0.1/api/v1";
  expect(cleanToken("abc\n")).toBe("abc");
  for (const token of ["", " \n", "s3cret\nwarning", "s3cret ü"]) {
    for (const start of [
      async () => new GiteaForge({ apiUrl, repository: "team/app", token }),
      () => GitHubForge.create({ apiUrl, repository: "team/app", credential: { token } }),
    ]) {
      const error = await start().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "ForgeUnauthorized", retryable: false });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("s3cret");
    }
  }
});

it("stops waiting when told to", async () => {
  answers = [json(503, {}, { "retry-after": "30" })];
  const stop = new AbortController();
  const reason = new Error("shutting down");
  setTimeout(() => stop.abort(reason), 100);
  await expect(connect().listOpenPullRequests(stop.signal)).rejects.toBe(reason);
  answers = [hang];
  const later = new AbortController();
  setTimeout(() => later.abort(reason), 100);
  await expect(connect().listOpenPullRequests(later.signal)).rejects.toBe(reason);
});

it("does without read:user: the name comes with what it writes", async () => {
  answers = [
    json(403, { message: "token does not have at least one of required scope(s)" }),
    json(201, comment),
  ];
  const forge = connect();
  expect(await forge.login(signal)).toBeUndefined();
  await forge.createComment(7, "x", signal);
  expect(await forge.login(signal)).toBe("slipway");
});

it("reads Retry-After in both its forms", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(retryAfter(null, now)).toBeUndefined();
  expect(retryAfter("7", now)).toBe(7000);
  expect(retryAfter("Thu, 01 Jan 2026 00:00:09 GMT", now)).toBe(9000);
  expect(retryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
  expect(retryAfter("soon", now)).toBeUndefined();
});
