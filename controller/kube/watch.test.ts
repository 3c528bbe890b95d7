import type { ServerResponse } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { json, loopback } from "../../test/integration/kube/loopback.ts";
import { createLogger } from "../log.ts";
import { startInformer } from "./informer.ts";
import { ConfigMap, type KubeObject } from "./resources.ts";
import { watchResource } from "./watch.ts";

const log = createLogger("silent");

function object(name: string, resourceVersion: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "ns", uid: name, resourceVersion },
  };
}

function list(...items: KubeObject[]): unknown {
  return { kind: "ConfigMapList", metadata: { resourceVersion: "10" }, items };
}

/** A list that answers at once, and watches that the test plays by hand. */
async function played(options: { silenceMs?: number } = {}) {
  const watches: { response: ServerResponse; query: URLSearchParams }[] = [];
  let items: KubeObject[] = [];
  const server = await loopback((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x");
    if (!searchParams.has("watch")) {
      json(response, 200, list(...items));
      return;
    }
    response.writeHead(200);
    response.flushHeaders();
    watches.push({ response, query: searchParams });
  });
  const seen: string[] = [];
  const controller = new AbortController();
  const done = watchResource<KubeObject>(server.client, ConfigMap, {
    signal: controller.signal,
    log,
    ...options,
    onEvent: (event) => {
      seen.push(event.type === "synced" ? "synced" : `${event.type} ${event.object.metadata.name}`);
      if (event.type === "applied" && event.object.metadata.name === "poison") throw new Error("handler");
    },
  });
  return {
    server,
    seen,
    watches,
    setItems: (...next: KubeObject[]) => {
      items = next;
    },
    watch: (n: number) => vi.waitFor(() => watches[n] ?? Promise.reject(new Error(`no watch ${n}`)), 5_000),
    async [Symbol.asyncDispose]() {
      controller.abort();
      await done;
      await server[Symbol.asyncDispose]();
    },
  };
}

const added = (name: string, version: string) =>
  `${JSON.stringify({ type: "ADDED", object: object(name, version) })}\n`;

describe("watchResource", () => {
  it("puts bytes together across chunks, also inside a character", async () => {
    await using play = await played();
    const { response, query } = await play.watch(0);
    expect(Object.fromEntries(query)).toMatchObject({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: "10",
    });
    const bytes = Buffer.from(added("größe", "11"));
    const inside = bytes.indexOf(0xc3) + 1;
    response.write(bytes.subarray(0, inside));
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.write(bytes.subarray(inside));
    await vi.waitFor(() => expect(play.seen).toEqual(["synced", "applied größe"]));
  });

  it("goes on from the last event after a broken connection", async () => {
    await using play = await played();
    const first = await play.watch(0);
    first.response.write(added("a", "11") + added("b", "12").slice(0, 20));
    await vi.waitFor(() => expect(play.seen).toContain("applied a"));
    first.response.destroy();
    const second = await play.watch(1);
    expect(second.query.get("resourceVersion")).toBe("11");
    second.response.write(added("b", "12"));
    await vi.waitFor(() => expect(play.seen).toEqual(["synced", "applied a", "applied b"]));
  });

  it("opens a half-open watch again", async () => {
    await using play = await played({ silenceMs: 100 });
    const first = await play.watch(0);
    first.response.write(added("a", "11"));
    // The server goes on holding the first connection and says nothing.
    const second = await play.watch(1);
    expect(second.query.get("resourceVersion")).toBe("11");
    expect(first.response.writableEnded).toBe(false);
  });

  it("lists again after 410 and reports what vanished", async () => {
    await using play = await played();
    const first = await play.watch(0);
    first.response.write(added("a", "11") + added("b", "12"));
    await vi.waitFor(() => expect(play.seen).toContain("applied b"));
    play.setItems(object("b", "12"));
    first.response.end(
      `${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, message: "old" } })}\n`,
    );
    await play.watch(1);
    expect(play.seen).toEqual(["synced", "applied a", "applied b", "applied b", "deleted a", "synced"]);
  });

  it("goes on after a handler that throws", async () => {
    await using play = await played();
    const { response } = await play.watch(0);
    response.write(added("poison", "11") + added("b", "12"));
    await vi.waitFor(() => expect(play.seen).toEqual(["synced", "applied poison", "applied b"]));
  });

  it("ends at once when told to, in the middle of a read", async () => {
    const play = await played();
    await play.watch(0);
    const started = performance.now();
    await play[Symbol.asyncDispose]();
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("startInformer", () => {
  it("keeps trying while the server refuses, and says when it was stopped before the first list", async () => {
    await using server = await loopback((_, response) => json(response, 403, { kind: "Status", code: 403 }));
    const informer = startInformer(server.client, ConfigMap, { log });
    await vi.waitFor(() => expect(server.requests.length).toBeGreaterThanOrEqual(2), 5_000);
    expect(informer.store.hasSynced).toBe(false);
    await informer.stop();
    await expect(informer.store.synced).rejects.toMatchObject({ code: "WatchStopped" });
  });

  it("ends with the caller's signal", async () => {
    await using server = await loopback((_, response) => json(response, 200, list()));
    const controller = new AbortController();
    const informer = startInformer(server.client, ConfigMap, { log, signal: controller.signal });
    await informer.store.synced;
    controller.abort();
    await informer.stop();
    const before = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.requests).toHaveLength(before);
  });
});
