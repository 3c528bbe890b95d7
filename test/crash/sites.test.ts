import { describe, expect, it } from "vitest";
import { classifyForge, classifyHttp, classifyKube } from "./sites.ts";

const APPLY = "application/apply-patch+yaml";
const group = "/apis/slipway.dev/v1alpha1";
const kube = (method: string, url: string, contentType?: string) =>
  classifyKube({ method, url, contentType });

describe("sites at the API server", () => {
  it.each([
    [
      "PATCH",
      `${group}/namespaces/a/prompttemplates/p?fieldManager=slipway`,
      APPLY,
      "api apply PromptTemplate",
    ],
    [
      "PATCH",
      `${group}/namespaces/a/evalruns/r/status`,
      "application/merge-patch+json",
      "api patch EvalRun/status",
    ],
    ["POST", `${group}/namespaces/a/evalruns`, "application/json", "api create EvalRun"],
    ["DELETE", `${group}/namespaces/a/evalruns/r`, undefined, "api delete EvalRun"],
    ["PATCH", "/api/v1/namespaces/a/configmaps/c", APPLY, "api apply ConfigMap"],
    ["POST", "/apis/events.k8s.io/v1/namespaces/a/events", "application/json", "api create Event"],
    ["PUT", `${group}/namespaces/a/repositories/r/status`, undefined, "api update Repository/status"],
  ])("%s %s", (method, url, contentType, site) => {
    expect(kube(method, url, contentType)).toMatchObject({ site, namespace: "a" });
  });

  it.each([
    ["GET", `${group}/evalruns?watch=1`, "watch"],
    ["GET", `${group}/namespaces/a/evalruns/r`, "read"],
    [
      "PATCH",
      `${group}/namespaces/a/evalsuites/s?dryRun=All&fieldManager=slipway`,
      "dry-run apply EvalSuite",
    ],
    ["PUT", "/apis/coordination.k8s.io/v1/namespaces/slipway-system/leases/l", "lease"],
  ])("%s %s leaves nothing that lasts", (method, url, label) => {
    expect(kube(method, url, APPLY)).toMatchObject({ site: undefined, label });
  });
});

describe("sites at the forge", () => {
  const at = (method: string, path: string) =>
    classifyForge({ method, url: `/api/v1/repos/o/n${path}`, contentType: undefined }).site;

  it("are comments and statuses, and whatever else writes", () => {
    expect(at("POST", "/issues/7/comments")).toBe("forge create comment");
    expect(at("PATCH", "/issues/comments/9")).toBe("forge update comment");
    expect(at("DELETE", "/issues/comments/9")).toBe("forge delete comment");
    expect(at("POST", `/statuses/${"a".repeat(40)}`)).toBe("forge set status");
    expect(at("POST", "/pulls/7/merge")).toBe("forge POST /pulls/N/merge");
    expect(at("DELETE", "/branches/slipway/a1/monitor")).toBe("forge DELETE /branches/NAME");
    expect(at("GET", "/issues/7/comments")).toBeUndefined();
  });
});

describe("sites at any other API", () => {
  it("are what writes, by method and path", () => {
    const at = (method: string, url: string) =>
      classifyHttp("provider")({ method, url, contentType: undefined });
    expect(at("POST", "/v1/fine_tuning/jobs?x=1").site).toBe("provider POST /v1/fine_tuning/jobs");
    expect(at("GET", "/v1/files")).toMatchObject({ site: undefined, label: "provider read" });
  });
});
