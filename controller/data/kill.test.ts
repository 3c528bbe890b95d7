import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Xoshiro128 } from "../eval/statistics/random.ts";

const run = promisify(execFile);
const CHILD = join(import.meta.dirname, "..", "..", "test", "data", "prepare.ts");
/** A few here; `npm run test:data` kills twenty times. */
const KILLS = Number(process.env.SLIPWAY_KILLS ?? 3);

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-kill-"));
  file = join(folder, "rows.jsonl");
  const lines = Array.from({ length: 40_000 }, (_, i) => {
    const words = Array.from(
      { length: 40 },
      (_, j) => `w${Math.imul((i - (i % 4)) * 64 + j, 0x9e3779b1) >>> 17}`,
    );
    return JSON.stringify({ prompt: `${words.join(" ")} a${i % 2}@example.org`, completion: `${i % 4}` });
  });
  await writeFile(file, `${lines.join("\n")}\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const prepared = async (store: string, node = process.execPath) =>
  (await run(node, [CHILD, store, file])).stdout;

/** Every manifest in a store, which is what can be seen of artifacts; each must have all of its files. */
async function artifacts(store: string): Promise<string[]> {
  const found: string[] = [];
  const blobs = join(store, "sha256");
  const paths = await readdir(blobs, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of paths.filter((each) => each.isFile())) {
    const data = await readFile(join(entry.parentPath, entry.name));
    if (!data.subarray(0, 10).toString().startsWith('{"files":')) continue;
    const { files } = JSON.parse(data.toString()) as { files: { digest: string; bytes: number }[] };
    for (const { digest } of files) await access(join(blobs, digest.slice(7, 9), digest.slice(9)));
    found.push(`sha256:${entry.parentPath.slice(-2)}${entry.name}`);
  }
  return found;
}

test(`killed ${KILLS} times at random, it comes to the same digest, and no part of an artifact is ever seen`, async () => {
  const started = performance.now();
  const expected = await prepared(join(folder, "whole"));
  const wholeMs = performance.now() - started;
  expect(await artifacts(join(folder, "whole"))).toEqual([expected]);
  const random = new Int32Array(KILLS);
  Xoshiro128.fromSeed(4).fill(random);
  const store = join(folder, "killed");
  let ended = 0;
  for (const number of random) {
    const child: ChildProcess = spawn(process.execPath, [CHILD, store, file], { stdio: "ignore" });
    const exit = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), ((number >>> 0) / 2 ** 32) * wholeMs);
    const [code, signal] = (await exit) as [number | null, string | null];
    clearTimeout(timer);
    // One that fails by itself has not been killed.
    expect([code, signal]).toEqual(code === null ? [null, "SIGKILL"] : [0, null]);
    if (code === 0) ended++;
    const seen = await artifacts(store);
    // Killed between the manifest and the end, it has published.
    expect([[], [expected]]).toContainEqual(seen);
    if (seen.length === 0) expect(code).not.toBe(0);
  }
  expect(ended).toBeLessThan(KILLS);
  expect(await prepared(store)).toBe(expected);
  expect(await artifacts(store)).toEqual([expected]);
  // What the dead left is gone.
  expect(await readdir(join(store, "incoming"))).toEqual([]);
}, 1_200_000);

/** Another major of Node, where it is asked for: its path. */
test.skipIf(process.env.SLIPWAY_OTHER_NODE === undefined)(
  "another major of Node comes to the same digest",
  async () => {
    const other = process.env.SLIPWAY_OTHER_NODE!;
    const { stdout: version } = await run(other, ["--version"]);
    expect(version.split(".")[0]).not.toBe(process.version.split(".")[0]);
    expect(await prepared(join(folder, "other"), other)).toBe(await prepared(join(folder, "this")));
  },
  300_000,
);
