import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findForge, startGitea, stopForge } from "../../../controller/dev/forge.ts";
import { recordedDaemons } from "../../../controller/dev/process.ts";
import { findOwned, isAlive } from "../../../controller/dev/process-table.ts";
import { silent } from "../../../controller/dev/progress.ts";
import { giteaApi } from "../../devcluster/gitea-api.ts";

const run = promisify(execFile);

let stateDir: string;
beforeEach(async () => {
  stateDir = await realpath(await mkdtemp(join(tmpdir(), "slipway-forge-")));
});
afterEach(async () => {
  await stopForge({ name: "forge", stateDir, report: silent });
  await rm(stateDir, { recursive: true, force: true });
});
const up = () => startGitea({ name: "forge", stateDir, report: silent });

test("a repository takes a push and its webhook reaches a loopback address; down leaves nothing", async () => {
  const forge = await up();
  const hook = createServer((request, response) => {
    request.resume();
    response.end();
  }).listen(0, "127.0.0.1");
  try {
    await once(hook, "listening");
    const call = (method: string, path: string, body?: unknown) =>
      giteaApi(forge.url, forge.adminToken, method, path, body);
    expect(await call("GET", "/user")).toMatchObject({ login: forge.adminUser, is_admin: true });
    await call("POST", "/user/repos", { name: "demo", auto_init: true });
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`;
    const config = { url, content_type: "json" };
    const path = `/repos/${forge.adminUser}/demo/hooks`;
    await call("POST", path, { type: "gitea", active: true, events: ["push"], config });

    const delivered = once(hook, "request");
    const clone = join(stateDir, "clone");
    const remote = new URL(`${forge.url}/${forge.adminUser}/demo.git`);
    remote.username = forge.adminUser;
    remote.password = forge.adminPassword;
    await run("git", ["clone", "-q", remote.href, clone]);
    await writeFile(join(clone, "file"), "content");
    const git = (...args: string[]) =>
      run("git", ["-C", clone, "-c", "user.name=a", "-c", "user.email=a@b.invalid", ...args]);
    await git("add", "file");
    await git("commit", "-qm", "one");
    await git("push", "-q", "origin", "main");
    const [request] = (await delivered) as [IncomingMessage];
    expect(request.headers["x-gitea-event"]).toBe("push");
  } finally {
    hook.close();
  }
  await forge.stop();
  expect(await findOwned(join(stateDir, "forges", "forge"))).toEqual([]);
  expect(await readdir(join(stateDir, "forges"))).toEqual([]);
});

test("up again answers the same forge; after a kill it makes a new one", async () => {
  const first = await up();
  expect(await up()).toMatchObject({ url: first.url, adminToken: first.adminToken });
  const [daemon] = await recordedDaemons(join(stateDir, "forges", "forge"));
  process.kill(daemon?.pid ?? 0, "SIGKILL");
  while (daemon && (await isAlive(daemon))) await sleep(20);
  expect(await findForge({ name: "forge", stateDir, report: silent })).toBeUndefined();
  const second = await up();
  expect(second.adminToken).not.toBe(first.adminToken);
  expect(await giteaApi(second.url, second.adminToken, "GET", "/user")).toMatchObject({
    login: "slipway-admin",
  });
});

test("a visitor can neither register nor use the API's write calls", async () => {
  const forge = await up();
  const page = await fetch(`${forge.url}/user/sign_up`, { redirect: "manual" });
  expect(await page.text()).toMatch(/registration.*disabled/i);
  await expect(giteaApi(forge.url, "0".repeat(40), "GET", "/user")).rejects.toThrow("answered 401");
});
