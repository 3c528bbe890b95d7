import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  currentServer,
  exportKubeconfig,
  formatKubeconfig,
  readKubeconfig,
  removeExportedKubeconfig,
} from "./kubeconfig.ts";

let folder: string;
let source: string;
const text = formatKubeconfig({
  context: "slipway-a",
  server: "https://127.0.0.1:1234",
  ca: "PEM",
  user: "admin",
  credentials: { token: "secret" },
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-kubeconfig-"));
  source = join(folder, "source");
  await writeFile(source, text);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("the Kubernetes client reads it and verifies the server", () => {
  const config = new KubeConfig();
  config.loadFromString(text);
  expect(config.getCurrentCluster()).toMatchObject({
    server: "https://127.0.0.1:1234",
    caData: Buffer.from("PEM").toString("base64"),
    skipTLSVerify: false,
  });
  expect(config.getCurrentUser()).toMatchObject({ name: "admin", token: "secret" });
});

test("an export is private, can be repeated and removed", async () => {
  const out = join(folder, "out");
  await exportKubeconfig(source, out, "slipway-a");
  await exportKubeconfig(source, out, "slipway-a");
  expect((await stat(out)).mode & 0o777).toBe(0o600);
  expect(currentServer(await readKubeconfig(out))).toBe("https://127.0.0.1:1234");
  await removeExportedKubeconfig(out, "slipway-a");
  await expect(stat(out)).rejects.toThrow("ENOENT");
});

test("another cluster's kubeconfig is neither overwritten nor removed", async () => {
  const out = join(folder, "out");
  for (const foreign of [text.replaceAll("slipway-a", "production"), "not yaml: ["]) {
    await writeFile(out, foreign);
    await expect(exportKubeconfig(source, out, "slipway-a")).rejects.toMatchObject({
      code: "KubeconfigExists",
    });
    await removeExportedKubeconfig(out, "slipway-a");
    expect(await readFile(out, "utf8")).toBe(foreign);
  }
});

test("an unreadable kubeconfig's content is not in the error", async () => {
  await writeFile(source, "users: secret-token");
  const error = await readKubeconfig(source).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "KubeconfigUnreadable" });
  expect(String(error)).not.toContain("secret-token");
});
