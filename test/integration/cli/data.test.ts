import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { blobDigest } from "../../../controller/graph/canonical.ts";
import { artifactManifest } from "../../../schemas/artifact.ts";
import { certificateAuthority } from "../../certificates.ts";
import { startRowsServer } from "../../e2e/rows-server.ts";
import { careless, dataset, rowLines, TRAINING, trainingRows } from "../../training-repository.ts";
import { commit, start, temporaryFolder, write } from "./slipway.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cache: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  [folder, cache] = [await temporaryFolder(), await temporaryFolder()];
  await write(folder.path, TRAINING);
});
afterEach(async () => {
  await Promise.all([folder, cache].map((each) => each[Symbol.asyncDispose]()));
});

const slipway = (args: readonly string[], env: Record<string, string> = {}) =>
  start(["data", ...args, "--file", folder.path], cache.path, env).ended;

describe("slipway data diff", () => {
  const diff = (...args: string[]) => slipway(["diff", ...args]);

  test("0: rows, steps, personal data and leaks, by file and line and without their text", async () => {
    const base = await commit(folder.path, "base");
    await write(folder.path, { "tickets.jsonl": rowLines(careless) });
    const json = join(cache.path, "diff.json");
    const { code, stdout } = await diff("--base", base, "--json", json);
    expect(code).toBe(0);
    expect(stdout).toContain("tickets: 25 rows added, 4 removed, 1 changed, 55 stay");
    expect(stdout).toContain("dropped by dedup: 0 -> 5");
    expect(stdout).toContain("warning: email in 2 new rows: tickets.jsonl:82, tickets.jsonl:83");
    expect(stdout).toMatch(/warning: 3 rows \(3 new\) share text with \d+ cases: triage\/t001/);
    expect(stdout + (await readFile(json, "utf8"))).not.toContain("mia.lang");
    expect(JSON.parse(await readFile(json, "utf8"))).toMatchObject([
      { dataset: "tickets", state: "Compared" },
    ]);
  });

  test("0: what a step that is new changes", async () => {
    await write(folder.path, { "tickets.jsonl": rowLines(careless) });
    const base = await commit(folder.path, "base");
    const steps = [{ name: "privacy", type: "pii", pii: { action: "Redact" } }];
    await write(folder.path, { "dataset.yaml": dataset({ spec: { steps } }) });
    const { code, stdout } = await diff("--base", base);
    expect(code).toBe(0);
    expect(stdout).toContain(
      "  dropped by privacy: 0\n  changed by privacy: 2\n  dropped by dedup: 5 -> none\n",
    );
  });

  test("0 between two commits, and where nothing changes", async () => {
    const base = await commit(folder.path, "base");
    expect(await diff("--base", base)).toMatchObject({ code: 0, stdout: "no Dataset changes\n" });
    await write(folder.path, { "tickets.jsonl": rowLines(trainingRows(70)) });
    const head = await commit(folder.path, "head");
    await write(folder.path, { "tickets.jsonl": "" });
    const { code, stdout } = await diff("--base", base, "--head", head);
    expect(code).toBe(0);
    expect(stdout).toContain("10 rows added, 0 removed");
  });

  test("1 when the head's rows are bad; the first ones are named", async () => {
    const base = await commit(folder.path, "base");
    await write(folder.path, {
      "tickets.jsonl": `${TRAINING["tickets.jsonl"]}{"prompt":1,"completion":"money"}\n`,
    });
    const { code, stdout } = await diff("--base", base);
    expect(code).toBe(1);
    expect(stdout).toContain("FAIL  BadRows: 1 bad rows: tickets.jsonl:61: prompt must be text, not number");
  });

  test("3 when a source lies outside of git; 2 for a ref that is none", async () => {
    const base = await commit(folder.path, "base");
    const sources = [{ name: "web", url: "https://rows.example.com/a.jsonl" }];
    await write(folder.path, { "dataset.yaml": dataset({ spec: { sources } }) });
    const { code, stdout } = await diff("--base", base);
    expect(code).toBe(3);
    expect(stdout).toContain("tickets: not compared (Outside)");
    expect(await diff("--base", "gone")).toMatchObject({ code: 2 });
  });
});

describe("slipway data prepare", () => {
  const prepare = (name: string, ...args: string[]) => slipway(["prepare", name, ...args]);

  test("0: every row accounted for, the artifact's files written, the same digest again", async () => {
    await write(folder.path, {
      "tickets.jsonl": rowLines([...trainingRows(20), ...trainingRows(4)]),
      "refined.yaml": dataset({
        name: "refined",
        spec: {
          sources: [{ name: "all", datasetRef: { name: "tickets" } }],
          steps: [
            { name: "unseen", type: "decontaminate", decontaminate: { against: [{ name: "triage" }] } },
          ],
        },
      }),
    });
    const [out, json] = [join(cache.path, "out"), join(cache.path, "prepared.json")];
    const { code, stdout } = await prepare("tickets", "--out", out, "--json", json);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain("tickets: 24 rows read\n  dedup: 4 dropped\n  split train: 20 rows");
    const { artifact } = JSON.parse(await readFile(json, "utf8")) as { artifact: { digest: string } };
    const manifest = await readFile(join(out, "manifest.json"), "utf8");
    expect(blobDigest(manifest)).toBe(artifact.digest);
    for (const { path, digest } of artifactManifest.parse(JSON.parse(manifest)).files)
      expect(blobDigest(await readFile(join(out, path)))).toBe(digest);
    expect(await readdir(out)).toContain("train.jsonl");
    const again = await slipway(["prepare", "tickets"], { SLIPWAY_CACHE_DIR: join(cache.path, "other") });
    expect(again.stdout).toContain(artifact.digest);
    expect((await prepare("refined")).stdout).toContain("refined: 20 rows read");
  });

  test.each<[string, Record<string, string | Uint8Array>, string]>([
    ["bad rows", { "tickets.jsonl": "{\n" }, "BadRows: 1 bad rows: tickets.jsonl:1"],
    ["nothing", { "tickets.jsonl": "" }, "EmptySource: the source archive has no rows"],
    [
      "gzip that was cut off",
      {
        "dataset.yaml": dataset({ file: "rows.jsonl.gz" }),
        "rows.jsonl.gz": gzipSync(rowLines(trainingRows(50))).subarray(0, 200),
      },
      "UnreadableData",
    ],
  ])("1 for %s", async (_, files, said) => {
    await write(folder.path, files);
    const { code, stderr } = await prepare("tickets");
    expect(code).toBe(1);
    expect(stderr).toContain(said);
  });

  test("1 for a gate, 2 for a Dataset that is not there", async () => {
    await write(folder.path, { "dataset.yaml": dataset({ spec: { gates: { minRows: 100 } } }) });
    const { code, stdout } = await prepare("tickets");
    expect(code).toBe(1);
    expect(stdout).toContain("FAIL  minRows: 60 rows are left; at least 100 are asked for");
    const missing = await prepare("other");
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain("choose one of tickets");
  });

  describe("with rows from a server", () => {
    let server: Server;
    let url: string;
    const seen: (string | undefined)[] = [];
    beforeAll(async () => {
      server = createServer((request, response) => {
        seen.push(request.headers.authorization);
        response.end(rowLines(trainingRows(7)));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rows.jsonl`;
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));
    const source = (more: object = {}) =>
      write(folder.path, { "dataset.yaml": dataset({ spec: { sources: [{ name: "web", url, ...more }] } }) });

    test("reads them", async () => {
      await source();
      expect(await prepare("tickets")).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("7 rows read"),
      });
    });

    test("reads them over TLS where NODE_EXTRA_CA_CERTS names the authority, and else says what to do", async () => {
      const authority = certificateAuthority("ours");
      await using rows = await startRowsServer(authority.issue());
      const ca = join(cache.path, "ca.crt");
      await writeFile(ca, authority.cert);
      await source({ url: `${rows.url}/rows.jsonl` });
      expect(await prepare("tickets")).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(
          /certificate of 127\.0\.0\.1:\d+ is of an authority that is not trusted here.*NODE_EXTRA_CA_CERTS/s,
        ),
      });
      expect(await slipway(["prepare", "tickets"], { NODE_EXTRA_CA_CERTS: ca })).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("400 rows read"),
      });
    });

    test("sends a key only where it may go", async () => {
      await source({ secretRef: { name: "rows" } });
      const key = { SLIPWAY_TOKEN: "secret" };
      seen.length = 0;
      const refused = await slipway(["prepare", "tickets"], key);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("may not") });
      expect(seen.filter((each) => each !== undefined)).toEqual([]);
      const allowed = await slipway(["prepare", "tickets"], {
        ...key,
        SLIPWAY_ALLOWED_HOSTS: new URL(url).host,
      });
      expect(allowed.code).toBe(0);
      expect(seen).toContain("Bearer secret");
      expect((await prepare("tickets")).stderr).toContain("none of its keys is set");
    });
  });
});
