import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { containerRuntime, deleteKind, type Run, requireKindNameFree, startKind } from "./cluster-kind.ts";
import { silent } from "./progress.ts";

// These tests show which commands are run and what is made of their output. The output itself is written
// after kind's and kubeadm's documentation; with a real kind the provider has not been run by them.

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-kind-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString("base64");

function kubeconfig(server: string, certificate: string): string {
  return `
apiVersion: v1
kind: Config
clusters: [{name: kind-demo, cluster: {server: "${server}", certificate-authority-data: ${base64("CA")}}}]
users: [{name: u, user: {client-certificate-data: ${base64(certificate)}, client-key-data: ${base64("KEY")}}}]
contexts: [{name: kind-demo, context: {cluster: kind-demo, user: u}}]
current-context: kind-demo
`;
}

test("Docker is preferred, Podman is next, neither is no runtime", async () => {
  const only =
    (...names: string[]): Run =>
    async (program) => {
      if (!names.includes(program)) throw new Error("ENOENT");
      return "";
    };
  expect(await containerRuntime(only("docker", "podman"))).toBe("docker");
  expect(await containerRuntime(only("podman"))).toBe("podman");
  expect(await containerRuntime(only())).toBeUndefined();
});

test("a kind cluster that the user made is not touched", async () => {
  const run: Run = async () => "other\ndemo\n";
  await expect(requireKindNameFree("demo", "docker", run)).rejects.toMatchObject({ code: "ClusterExists" });
  await requireKindNameFree("dem", "docker", run);
});

test("administrator and controller get certificates of their own for the same verified server", async () => {
  const commands: string[] = [];
  const run: Run = async (program, args, options) => {
    commands.push([program, ...args].join(" ").replaceAll(folder, "STATE"));
    if (program === "kind") {
      expect(options?.env).toEqual({ KIND_EXPERIMENTAL_PROVIDER: "podman" });
      await writeFile(join(folder, "admin.kubeconfig"), kubeconfig("https://127.0.0.1:4321", "ADMIN"));
      return "";
    }
    return kubeconfig("https://demo-control-plane:6443", "CONTROLLER");
  };
  expect(await startKind(folder, { name: "demo", runtime: "podman", report: silent, run })).toBe(
    "https://127.0.0.1:4321",
  );
  expect(commands).toEqual([
    "kind create cluster --name demo --kubeconfig STATE/admin.kubeconfig --wait 180s",
    "podman exec demo-control-plane kubeadm kubeconfig user --client-name slipway-controller --config /kind/kubeadm.conf",
  ]);
  const admin = await readFile(join(folder, "admin.kubeconfig"), "utf8");
  const controller = await readFile(join(folder, "controller.kubeconfig"), "utf8");
  for (const text of [admin, controller]) {
    expect(text).toContain("server: https://127.0.0.1:4321");
    expect(text).toContain(`certificate-authority-data: ${base64("CA")}`);
  }
  expect(admin).toContain(base64("ADMIN"));
  expect(controller).toContain(base64("CONTROLLER"));
});

test("deleting does not edit the user's kubeconfig", async () => {
  const commands: string[][] = [];
  await deleteKind("demo", "docker", folder, async (program, args) => {
    commands.push([program, ...args]);
    return "";
  });
  expect(commands).toEqual([
    ["kind", "delete", "cluster", "--name", "demo", "--kubeconfig", join(folder, "kind.kubeconfig")],
  ]);
});
