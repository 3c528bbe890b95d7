import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checksumFor, Downloader } from "./download.ts";
import { silent } from "./progress.ts";

const content = Buffer.alloc(300_000, "slipway");
const digest = createHash("sha256").update(content).digest("hex");
let server: Server;
let base: string;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-download-"));
  server = createServer((request, response) => {
    if (request.url === "/program") response.end(content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

test("a file whose digest is right is saved and executable", async () => {
  const messages: string[] = [];
  await using downloader = new Downloader({ report: (message) => messages.push(message) });
  await downloader.save(`${base}/program`, join(folder, "a"), digest);
  expect(await readFile(join(folder, "a"))).toEqual(content);
  expect((await stat(join(folder, "a"))).mode & 0o777).toBe(0o755);
  expect(messages.at(-1)).toBe("downloading program: 0 of 0 MB");
});

test("a file with another digest is refused", async () => {
  await using downloader = new Downloader({ report: silent });
  const saving = downloader.save(`${base}/program`, join(folder, "b"), "0".repeat(64));
  await expect(saving).rejects.toMatchObject({ code: "ChecksumMismatch" });
});

test("a missing file and a host that refuses are download failures", async () => {
  await using downloader = new Downloader({ report: silent });
  await expect(downloader.text(`${base}/nothing`)).rejects.toMatchObject({ code: "DownloadFailed" });
  await expect(downloader.text("http://127.0.0.1:1/")).rejects.toMatchObject({
    code: "DownloadFailed",
    message: "127.0.0.1:1 cannot be reached",
  });
});

test("checksum files come as a bare digest or as a list", () => {
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  expect(checksumFor("kubectl", `${a}\n`)).toBe(a);
  expect(checksumFor("etcd.tar.gz", `${a}  other.tar.gz\n${b} *etcd.tar.gz\n`)).toBe(b);
  expect(() => checksumFor("etcd.tar.gz", `${a}  other.tar.gz`)).toThrow("no line for etcd.tar.gz");
});
