import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ETCD_VERSION, GITEA_VERSION, KUBERNETES_VERSION } from "./binaries.ts";
import { HELM_VERSION } from "./helm.ts";
import { METRICS_SERVER_VERSION } from "./node/metrics-server.ts";
import { COREDNS_VERSION } from "./node/programs.ts";
import { buildModule } from "./paths.ts";

test("releases and compiled programs have the same versions", async () => {
  const kubernetes = await readFile(join(buildModule("kubernetes"), "go.mod"), "utf8");
  expect(kubernetes).toContain(`k8s.io/kubernetes v${KUBERNETES_VERSION}\n`);
  expect(kubernetes).toContain(`go.etcd.io/etcd/server/v3 v${ETCD_VERSION}\n`);
  const gitea = await readFile(join(buildModule("gitea"), "go.mod"), "utf8");
  expect(gitea).toMatch(new RegExp(`code\\.gitea\\.io/gitea v${GITEA_VERSION}\\b`));
});

test("Helm's release and compiled program have the same version", async () => {
  expect(await readFile(join(buildModule("helm"), "go.mod"), "utf8")).toContain(
    `helm.sh/helm/v3 v${HELM_VERSION} `,
  );
});

test("CoreDNS has the version that its cache is named by", async () => {
  expect(await readFile(join(buildModule("dns"), "go.mod"), "utf8")).toContain(
    `github.com/coredns/coredns v${COREDNS_VERSION}\n`,
  );
});

test("metrics-server has the version that its cache is named by", async () => {
  expect(await readFile(join(buildModule("metrics-server"), "go.mod"), "utf8")).toContain(
    `sigs.k8s.io/metrics-server v${METRICS_SERVER_VERSION} `,
  );
});

test.each(["kubernetes", "node"])(
  "every staging module of %s is replaced by the same release",
  async (module) => {
    const kubernetes = await readFile(join(buildModule(module), "go.mod"), "utf8");
    expect(kubernetes).toContain(`k8s.io/kubernetes v${KUBERNETES_VERSION}\n`);
    const staging = `v0.${KUBERNETES_VERSION.split(".").slice(1).join(".")}`;
    const replaced = [...kubernetes.matchAll(/^\tk8s\.io\/\S+ => k8s\.io\/\S+ (\S+)$/gm)].map(
      (match) => match[1],
    );
    expect(replaced.length).toBeGreaterThan(25);
    expect(new Set(replaced)).toEqual(new Set([staging]));
  },
);
