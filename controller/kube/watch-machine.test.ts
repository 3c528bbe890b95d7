import { describe, expect, it } from "vitest";
import type { KubeObject } from "./resources.ts";
import {
  initialWatchState,
  stepWatch,
  type WatchAction,
  type WatchEvent,
  type WatchInput,
  type WatchState,
} from "./watch-machine.ts";

function object(name: string, resourceVersion: string, uid = `uid-${name}`): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "ns", uid, resourceVersion } };
}

function line(type: string, of: unknown): string {
  return `${JSON.stringify({ type, object: of })}\n`;
}

/** Runs inputs through the machine and keeps `known` as the driver does. */
class Run {
  state: WatchState = initialWatchState();
  action: WatchAction | undefined;
  readonly known = new Map<string, KubeObject>();
  readonly said: string[] = [];

  step(input: WatchInput): this {
    const before = JSON.stringify(this.state);
    const next = stepWatch(this.state, input, { known: this.known, random: () => 0.5 });
    expect(JSON.stringify(this.state)).toBe(before);
    for (const event of next.events) this.#take(event);
    this.state = next.state;
    this.action = next.action;
    return this;
  }

  listed(...objects: KubeObject[]): this {
    return this.step({ type: "go" }).step({ type: "page", items: objects, resourceVersion: "10" });
  }

  watching(...objects: KubeObject[]): this {
    return this.listed(...objects).step({ type: "opened" });
  }

  chunk(text: string): this {
    return this.step({ type: "chunk", text });
  }

  /** What was said since the last call. */
  news(): string[] {
    return this.said.splice(0);
  }

  #take(event: WatchEvent): void {
    if (event.type === "synced") {
      this.said.push(`synced@${event.resourceVersion}`);
      return;
    }
    const { name, resourceVersion, uid } = event.object.metadata;
    this.said.push(`${event.type} ${name}@${resourceVersion}`);
    if (event.type === "applied") this.known.set(`ns/${name}`, event.object);
    else this.known.delete(`ns/${name}`);
    expect(uid).toBeDefined();
  }
}

const expired = { code: 410, reason: "Expired", message: "too old resource version" };

describe("listing", () => {
  it("reads all pages, then watches from the list's version", () => {
    const run = new Run().step({ type: "go" });
    expect(run.action).toEqual({ type: "list", limit: 500, continue: undefined });
    run.step({ type: "page", items: [object("a", "1")], resourceVersion: "10", continue: "more" });
    expect(run.action).toEqual({ type: "list", limit: 500, continue: "more" });
    run.step({ type: "page", items: [object("b", "2")], resourceVersion: "10" });
    expect(run.news()).toEqual(["applied a@1", "applied b@2", "synced@10"]);
    expect(run.action).toEqual({ type: "watch", resourceVersion: "10", timeoutSeconds: 450 });
  });

  it("starts again without pages when a continue token has expired", () => {
    const run = new Run().step({ type: "go" });
    run.step({ type: "page", items: [object("a", "1")], resourceVersion: "10", continue: "more" });
    run.step({ type: "failed", status: 410, message: "continue token expired" });
    expect(run.action).toMatchObject({ type: "wait", ms: 0 });
    run.step({ type: "go" });
    expect(run.action).toEqual({ type: "list", limit: undefined, continue: undefined });
  });

  it("waits longer after each failure, at most 30 s", () => {
    const run = new Run();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      run.step({ type: "go" }).step({ type: "failed", status: 0, message: "ECONNREFUSED" });
      waits.push((run.action as WatchAction & { type: "wait" }).ms);
    }
    // Three quarters of 0.8, 1.6, … 30 s, because random() is a half.
    expect(waits).toEqual([600, 1200, 2400, 4800, 9600, 19200, 22500, 22500]);
  });

  it("heeds Retry-After", () => {
    const run = new Run().step({ type: "go" });
    run.step({ type: "failed", status: 429, message: "slow down", retryAfterMs: 7_000 });
    expect(run.action).toMatchObject({ type: "wait", ms: 7_000 });
  });
});

describe("watching", () => {
  it("turns lines into events and moves on with bookmarks", () => {
    const run = new Run().watching(object("a", "1"));
    run.news();
    run.chunk(
      line("ADDED", object("b", "11")) +
        line("MODIFIED", object("a", "12")) +
        line("DELETED", object("b", "13")),
    );
    expect(run.news()).toEqual(["applied b@11", "applied a@12", "deleted b@13"]);
    expect(run.action).toEqual({ type: "read" });
    run.chunk(line("BOOKMARK", { metadata: { resourceVersion: "40" } }));
    expect(run.news()).toEqual([]);
    run.step({ type: "closed", lastedMs: 60_000 });
    expect(run.action).toMatchObject({ type: "watch", resourceVersion: "40" });
  });

  it("puts together a line that arrives in pieces, wherever it is cut", () => {
    const text = line("ADDED", object("b", "11")) + line("MODIFIED", object("b", "12"));
    for (let cut = 1; cut < text.length; cut++) {
      const run = new Run().watching();
      run.news();
      run.chunk(text.slice(0, cut)).chunk(text.slice(cut));
      expect(run.news(), `cut at ${cut}`).toEqual(["applied b@11", "applied b@12"]);
    }
  });

  it("forgets a partial line when the connection ends and asks again from before it", () => {
    const run = new Run().watching();
    run.chunk(line("ADDED", object("b", "11")) + line("ADDED", object("c", "12")).slice(0, 30));
    run.step({ type: "failed", status: 0, message: "socket hang up" });
    expect(run.state).toEqual({ phase: "Listed", failures: 1, resourceVersion: "11" });
    expect(run.step({ type: "go" }).action).toMatchObject({ type: "watch", resourceVersion: "11" });
    run.step({ type: "opened" }).chunk(line("ADDED", object("c", "12")));
    expect(run.news().at(-1)).toBe("applied c@12");
  });

  it.each(["{not json}\n", '{"type":"ADDED"}\n', '{"type":"HUH","object":{"metadata":{}}}\n', "null\n"])(
    "keeps what came before a line that is no event (%j) and goes on from there",
    (broken) => {
      const run = new Run().watching();
      run.news();
      run.chunk(line("ADDED", object("b", "11")) + broken + line("ADDED", object("c", "12")));
      expect(run.news()).toEqual(["applied b@11"]);
      expect(run.action?.type).toBe("wait");
      expect(run.step({ type: "go" }).action).toMatchObject({ type: "watch", resourceVersion: "11" });
    },
  );

  it("opens a silent watch again where it stood, at once", () => {
    const run = new Run()
      .watching()
      .chunk(line("ADDED", object("b", "11")))
      .step({ type: "silent" });
    expect(run.action).toMatchObject({ type: "watch", resourceVersion: "11" });
  });

  it("counts a watch that ends at once as a failure, and does not loop", () => {
    const run = new Run().watching().step({ type: "closed", lastedMs: 5 });
    expect(run.action).toMatchObject({ type: "wait", ms: 600 });
    run.step({ type: "go" }).step({ type: "opened" }).step({ type: "closed", lastedMs: 5 });
    expect(run.action).toMatchObject({ type: "wait", ms: 1200 });
  });

  it.each([429, 500, 503, 0])("keeps its place after status %i", (status) => {
    const run = new Run().watching(object("a", "1")).step({ type: "failed", status, message: "no" });
    expect(run.step({ type: "go" }).action).toMatchObject({ type: "watch", resourceVersion: "10" });
  });

  it.each([400, 403, 404])("lists again, after a wait, when refused with status %i", (status) => {
    const run = new Run().watching(object("a", "1")).step({ type: "failed", status, message: "no" });
    expect(run.action).toMatchObject({ type: "wait", ms: 600 });
    expect(run.step({ type: "go" }).action).toMatchObject({ type: "list" });
  });

  it("lists again when the server is behind what was seen", () => {
    const run = new Run().watching(object("a", "1"));
    run.step({ type: "failed", status: 504, message: "Timeout: Too large resource version: 10, current: 4" });
    expect(run.step({ type: "go" }).action).toMatchObject({ type: "list" });
  });
});

describe("410", () => {
  it("in mid-watch keeps the events before it and lists again at once", () => {
    const run = new Run().watching(object("a", "1"));
    run.news();
    run.chunk(
      line("MODIFIED", object("a", "11")) + line("ERROR", expired) + line("ADDED", object("z", "99")),
    );
    expect(run.news()).toEqual(["applied a@11"]);
    expect(run.action).toMatchObject({ type: "wait", ms: 0 });
    expect(run.step({ type: "go" }).action).toMatchObject({ type: "list" });
  });

  it("reports what vanished, what was replaced and what is new in the meantime", () => {
    const run = new Run().watching(object("kept", "1"), object("gone", "2"), object("again", "3"));
    run.step({ type: "failed", status: 410, message: "expired" }).step({ type: "go" });
    run.news();
    run.step({
      type: "page",
      items: [object("kept", "1"), object("again", "20", "another-uid")],
      resourceVersion: "30",
      continue: "more",
    });
    expect(run.news()).toEqual(["applied kept@1", "deleted again@3", "applied again@20"]);
    run.step({ type: "page", items: [object("new", "21")], resourceVersion: "30" });
    expect(run.news()).toEqual(["applied new@21", "deleted gone@2", "synced@30"]);
    expect([...run.known.keys()].sort()).toEqual(["ns/again", "ns/kept", "ns/new"]);
  });

  it("again and again does not list in a tight loop", () => {
    const run = new Run();
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      run.listed().step({ type: "opened" }).chunk(line("ERROR", expired));
      waits.push((run.action as WatchAction & { type: "wait" }).ms);
    }
    expect(waits).toEqual([0, 1200, 2400, 4800]);
  });

  it("counts from nothing once a watch has worked", () => {
    const run = new Run().watching().chunk(line("ERROR", expired));
    run
      .listed()
      .step({ type: "opened" })
      .chunk(line("ADDED", object("a", "11")))
      .chunk(line("ERROR", expired));
    expect(run.action).toMatchObject({ type: "wait", ms: 0 });
  });
});

it("an ERROR that asks to wait keeps the place and waits", () => {
  const run = new Run().watching();
  run.chunk(line("ERROR", { code: 429, message: "too many", details: { retryAfterSeconds: 9 } }));
  expect(run.action).toMatchObject({ type: "wait", ms: 9_000 });
  expect(run.state).toMatchObject({ phase: "Listed", resourceVersion: "10" });
});

it("refuses an input that makes no sense", () => {
  expect(() => new Run().step({ type: "chunk", text: "x" })).toThrow("input chunk in phase Empty");
});
