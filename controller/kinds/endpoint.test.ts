import { describe, expect, test } from "vitest";
import type { SecretReader } from "../kube/secrets.ts";
import { endpointOf } from "./endpoint.ts";

const external = { baseURL: "https://api.example.com/v1", model: "m-1", timeout: "1m30s", maxConcurrency: 8 };
const tenant = { namespace: "team", serviceAccountName: "team-account" };

/** A reader with one Secret that remembers who read what. */
function reader(data: Record<string, string>, allowedHosts = ["api.example.com"]) {
  const reads: unknown[][] = [];
  const read = async (...args: unknown[]) => {
    reads.push(args);
    return { data, allowedHosts };
  };
  return { reads, secrets: { read } as unknown as SecretReader };
}

test("without a secretRef nothing is read and no key is sent", async () => {
  const { reads, secrets } = reader({});
  expect(await endpointOf(external, tenant, secrets)).toEqual({
    endpoint: { baseURL: external.baseURL, model: "m-1", timeoutMs: 90_000 },
  });
  expect(reads).toEqual([]);
});

describe("with a secretRef", () => {
  const withSecret = { ...external, secretRef: { name: "key", key: "apiKey" } };

  test("the key is read as the tenant, and comes with the hosts that it may go to", async () => {
    const { reads, secrets } = reader({ apiKey: "k-1\n" });
    expect(await endpointOf(withSecret, tenant, secrets)).toMatchObject({
      endpoint: { apiKey: "k-1" },
      allowedHosts: ["api.example.com"],
    });
    expect(reads).toEqual([["team", "key", "team-account"]]);
  });

  test("a key that is missing is said without what is there", async () => {
    const { secrets } = reader({ other: "k-secret" });
    const error = await endpointOf(withSecret, tenant, secrets).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "SecretIncomplete", retryable: false });
    expect(String(error)).toContain("Secret team/key has no key apiKey");
    expect(String(error)).not.toContain("k-secret");
  });

  test("a Secret that may go nowhere gives an empty list, not none", async () => {
    const { secrets } = reader({ apiKey: "k-1" }, []);
    expect((await endpointOf(withSecret, tenant, secrets)).allowedHosts).toEqual([]);
  });
});
