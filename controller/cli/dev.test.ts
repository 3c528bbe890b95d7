import { expect, test } from "vitest";
import { devCommand, statusLines } from "./dev.ts";

test("status shows where a cluster is and how its processes are", () => {
  const lines = statusLines(
    {
      name: "slipway",
      phase: "broken",
      createdAt: "2026-01-02T03:04:05Z",
      cluster: {
        name: "slipway",
        provider: "local",
        apiURL: "https://127.0.0.1:1234",
        kubeconfigPath: "/state/admin.kubeconfig",
        controllerKubeconfigPath: "/state/controller.kubeconfig",
      },
      processes: [
        { name: "etcd", pid: 7, alive: true, residentBytes: 110 * 2 ** 20 },
        { name: "kube-apiserver", pid: 12345, alive: false },
      ],
    },
    "http://127.0.0.1:3000",
  );
  expect(lines).toEqual([
    "cluster     slipway (local)",
    "API         https://127.0.0.1:1234",
    "kubeconfig  /state/admin.kubeconfig",
    "controller  /state/controller.kubeconfig",
    "state       broken, since 2026-01-02T03:04:05Z",
    "            repair it with dev up, remove it with dev down",
    "forge       http://127.0.0.1:3000",
    "",
    "PROCESS         PID    STATE    MEMORY",
    "etcd            7      running  110 MiB",
    "kube-apiserver  12345  ended",
    "",
  ]);
});

test("an unknown provider is refused with the choices", async () => {
  const errors: string[] = [];
  const dev = devCommand();
  for (const command of [dev, ...dev.commands])
    command.exitOverride().configureOutput({ writeErr: (e) => errors.push(e) });
  await expect(dev.parseAsync(["up", "--provider", "minikube"], { from: "user" })).rejects.toThrow();
  expect(errors.join("")).toContain("Allowed choices are auto, kind, local");
});
