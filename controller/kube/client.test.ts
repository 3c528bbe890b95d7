import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { json, loopback } from "../../test/integration/kube/loopback.ts";
import { conflictingManagers } from "./apply.ts";
import { KubeClient, type RequestInfo } from "./client.ts";
import { isAlreadyExists, isConflict, isGone, isNotFound, KubeError } from "./kube-error.ts";
import { ConfigMap, type KubeObject } from "./resources.ts";

const map: KubeObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "ns" } };

function status(code: number, reason: string, message = "said so", details: unknown = undefined): unknown {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message, details };
}

describe("retries", () => {
  it("waits as Retry-After says and repeats any verb after 429", async () => {
    let asked = 0;
    await using server = await loopback((_, response) => {
      if (asked++ === 0) json(response, 429, status(429, "TooManyRequests"), { "retry-after": "1" });
      else json(response, 201, map);
    });
    const started = performance.now();
    await server.client.create(ConfigMap, map);
    expect(performance.now() - started).toBeGreaterThanOrEqual(990);
    expect(server.requests).toHaveLength(2);
  });

  it("repeats a read after 5xx and after a broken connection", async () => {
    let asked = 0;
    await using server = await loopback((request, response) => {
      asked++;
      if (asked === 1) json(response, 503, status(503, "ServiceUnavailable"));
      else if (asked === 2) request.socket.destroy();
      else json(response, 200, map);
    });
    expect(await server.client.get(ConfigMap, "ns", "a")).toEqual(map);
    expect(asked).toBe(3);
  });

  it.each(["create", "locked replace", "json patch"] as const)(
    "does not repeat a %s that may have worked",
    async (verb) => {
      await using server = await loopback((_, response) => json(response, 500, status(500, "InternalError")));
      const { client } = server;
      const locked = { ...map, metadata: { ...map.metadata, resourceVersion: "1" } };
      const call = {
        create: () => client.create(ConfigMap, map),
        "locked replace": () => client.replace(ConfigMap, locked),
        "json patch": () =>
          client.patch(ConfigMap, "ns", "a", [], { contentType: "application/json-patch+json" }),
      }[verb];
      await expect(call()).rejects.toMatchObject({ status: 500, retryable: true });
      expect(server.requests).toHaveLength(1);
    },
  );

  it("repeats an apply", async () => {
    let asked = 0;
    await using server = await loopback((_, response) => {
      if (asked++ === 0) json(response, 502, "<html>");
      else json(response, 200, map);
    });
    await server.client.apply(ConfigMap, map, { fieldManager: "slipway" });
    expect(server.requests).toEqual(
      Array(2).fill("PATCH /api/v1/namespaces/ns/configmaps/a?fieldManager=slipway&force=false"),
    );
  });

  it("gives up when Retry-After goes past the deadline", async () => {
    await using server = await loopback((_, response) =>
      json(response, 429, status(429, "TooManyRequests"), { "retry-after": "60" }),
    );
    await expect(server.client.get(ConfigMap, "ns", "a", { timeoutMs: 500 })).rejects.toMatchObject({
      status: 429,
      retryAfterMs: 60_000,
    });
    expect(server.requests).toHaveLength(1);
  });
});

describe("limits", () => {
  it("ends a request that is never answered", async () => {
    await using server = await loopback(() => {});
    await expect(server.client.get(ConfigMap, "ns", "a", { timeoutMs: 100 })).rejects.toMatchObject({
      code: "Timeout",
      status: 0,
      message: "GET /api/v1/namespaces/ns/configmaps/a: no answer within 100 ms",
    });
  });

  it("ends an answer that stops half-way", async () => {
    await using server = await loopback((_, response) => {
      response.writeHead(200);
      response.write('{"kind":');
    });
    await expect(server.client.get(ConfigMap, "ns", "a", { timeoutMs: 100 })).rejects.toMatchObject({
      code: "Timeout",
    });
  });

  it("rejects with the caller's reason when the caller gives up, also between tries", async () => {
    await using server = await loopback((_, response) =>
      json(response, 429, status(429, "TooManyRequests"), { "retry-after": "20" }),
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(server.client.get(ConfigMap, "ns", "a", { signal: controller.signal })).rejects.toThrow(
      "enough",
    );
  });

  it("limits the wait for a stream's beginning, not the stream", async () => {
    await using server = await loopback((_, response) => {
      response.writeHead(200);
      response.flushHeaders();
      setTimeout(() => response.end("later"), 300);
    });
    const body = await server.client.stream("/x", { timeoutMs: 100 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("later");
  });

  it("ends a stream when the caller aborts", async () => {
    await using server = await loopback((_, response) => {
      response.writeHead(200);
      response.flushHeaders();
    });
    const controller = new AbortController();
    const body = await server.client.stream("/x", { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 30);
    await expect(body[Symbol.asyncIterator]().next()).rejects.toThrow();
  });
});

describe("identity", () => {
  it("impersonates through a view, and per call, with one header for each group", async () => {
    const seen: string[][] = [];
    await using server = await loopback((request, response) => {
      const raw = request.rawHeaders;
      seen.push(
        raw.flatMap((name, i) =>
          name.toLowerCase().startsWith("impersonate") ? [`${name}=${raw[i + 1]}`] : [],
        ),
      );
      json(response, 200, map);
    });
    const view = server.client.as({ user: "one", groups: ["g1", "g2"] });
    await view.get(ConfigMap, "ns", "a");
    await view.get(ConfigMap, "ns", "a", { as: { user: "two" } });
    await server.client.get(ConfigMap, "ns", "a");
    expect(seen).toEqual([
      ["impersonate-user=one", "impersonate-group=g1", "impersonate-group=g2"],
      ["impersonate-user=two"],
      [],
    ]);
  });

  it("refuses to act as nobody instead of as itself", async () => {
    await using server = await loopback((_, response) => json(response, 200, map));
    expect(() => server.client.as({ user: "" })).toThrow("empty user name");
    await expect(server.client.get(ConfigMap, "ns", "a", { as: { user: "" } })).rejects.toMatchObject({
      code: "EmptyIdentity",
    });
    expect(server.requests).toEqual([]);
  });
});

describe("errors", () => {
  it("carry the server's reason and causes", async () => {
    const causes = [
      { reason: "FieldManagerConflict", message: 'conflict with "kubectl" using v1', field: ".data.x" },
    ];
    await using server = await loopback((_, response) =>
      json(response, 409, status(409, "Conflict", "no", { causes })),
    );
    const error = await server.client
      .apply(ConfigMap, map, { fieldManager: "slipway" })
      .catch((e: unknown) => e);
    expect(isConflict(error)).toBe(true);
    expect(conflictingManagers(error)).toEqual(["kubectl"]);
    expect((error as KubeError).message).toBe("PATCH /api/v1/namespaces/ns/configmaps/a: 409 Conflict: no");
  });

  it.each([
    [404, "NotFound", isNotFound],
    [409, "AlreadyExists", isAlreadyExists],
    [410, "Expired", isGone],
  ])("%i %s are told apart", async (code, reason, is) => {
    await using server = await loopback((_, response) => json(response, code, status(code, reason)));
    const error = await server.client.get(ConfigMap, "ns", "a").catch((e: unknown) => e);
    expect([isNotFound, isAlreadyExists, isConflict, isGone].filter((test) => test(error))).toEqual([is]);
  });

  it("hold no token, even when the server repeats it", async () => {
    await using server = await loopback((request, response) => {
      response.writeHead(500).end(`bad header ${request.headers.authorization}`);
    });
    const error = await server.client.create(ConfigMap, map).catch((e: unknown) => e as KubeError);
    expect((error as KubeError).message).toContain("[redacted]");
    expect(`${(error as KubeError).stack} ${JSON.stringify(error)}`).not.toContain("s3cr3t");
  });

  it("forget the credentials after 401", async () => {
    await using server = await loopback((_, response) => json(response, 401, status(401, "Unauthorized")));
    await expect(server.client.get(ConfigMap, "ns", "a")).rejects.toMatchObject({ status: 401 });
    expect(server.invalidated).toBe(1);
  });

  it("say where nobody listens, with every verb tried again", async () => {
    const info: RequestInfo[] = [];
    const server = await loopback(() => {}, { onRequest: (request) => info.push(request) });
    const { client } = server;
    await server[Symbol.asyncDispose]();
    await expect(client.get(ConfigMap, "ns", "a")).rejects.toMatchObject({ code: "ClientClosed" });
    expect(info).toMatchObject([{ verb: "get", kind: "ConfigMap", code: 0 }]);
    const dir = mkdtempSync(join(tmpdir(), "slipway-kube-"));
    const path = join(dir, "config");
    writeFileSync(path, kubeconfig("http://127.0.0.1:1", ""));
    const nobody = KubeClient.fromKubeconfig({ path });
    const error = await nobody.create(ConfigMap, map, { timeoutMs: 1_500 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(KubeError);
    expect(error).toMatchObject({ code: "Unreachable", retryable: true, status: 0 });
  });
});

function kubeconfig(server: string, cluster: string): string {
  return `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${server}"${cluster}}}]
users: [{name: u, user: {token: s3cr3t-token}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`;
}

describe("fromKubeconfig", () => {
  const dir = mkdtempSync(join(tmpdir(), "slipway-kube-"));
  const load = (text: string, context?: string) => {
    const path = join(dir, "config");
    writeFileSync(path, text);
    return KubeClient.fromKubeconfig({ path, ...(context === undefined ? {} : { context }) });
  };

  it.each([
    [
      "unverified TLS",
      kubeconfig("https://h:1", ", insecure-skip-tls-verify: true"),
      undefined,
      "KubeconfigInsecure",
    ],
    ["plain http", kubeconfig("http://h:1", ""), undefined, "KubeconfigInsecure"],
    ["an unknown context", kubeconfig("https://h:1", ""), "nope", "KubeconfigInvalid"],
    ["what is not YAML", "{{{", undefined, "KubeconfigUnreadable"],
  ])("refuses %s", (_, text, context, code) => {
    expect(() => load(text, context)).toThrow(expect.objectContaining({ code }));
  });

  it("says what to do when the file does not exist", () => {
    expect(() => KubeClient.fromKubeconfig({ path: join(dir, "none") })).toThrow(
      expect.objectContaining({ code: "KubeconfigUnreadable", hint: expect.stringContaining("KUBECONFIG") }),
    );
  });

  it("accepts verified https", () => {
    expect(load(kubeconfig("https://h:1", ""))).toBeInstanceOf(KubeClient);
  });
});
