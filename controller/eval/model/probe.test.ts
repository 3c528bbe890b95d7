import { describe, expect, test } from "vitest";
import { type ModelEndpointOptions, startModelEndpoint } from "../../../test/model-endpoint.ts";
import { probeEndpoint } from "./probe.ts";

async function probe(
  options: ModelEndpointOptions,
  more: { apiKey?: string; allowed?: boolean; timeoutMs?: number; absent?: string } = {},
) {
  await using server = await startModelEndpoint(options);
  const { apiKey, allowed = true, timeoutMs = 2_000, absent } = more;
  return await probeEndpoint({
    endpoint: {
      baseURL: `${server.baseURL}/`,
      model: "m-1",
      timeoutMs,
      ...(apiKey !== undefined && { apiKey }),
    },
    absent,
    allowedHosts: allowed ? [new URL(server.baseURL).host] : [],
  });
}

describe("probeEndpoint", () => {
  test("lists the models of an endpoint that has ours", async () => {
    expect(await probe({ models: ["m-0", "m-1"] })).toMatchObject({ ok: true, models: ["m-0", "m-1"] });
  });

  test("an endpoint without a list answers all the same", async () => {
    expect(await probe({})).toEqual({ ok: true, latencyMs: expect.any(Number) });
    expect(await probe({ models: [] })).toMatchObject({ ok: true });
  });

  test("a model that is not listed is named, with what is", async () => {
    expect(await probe({ models: ["gpt"] })).toMatchObject({
      ok: false,
      reason: "ModelNotFound",
      message: "the endpoint does not list m-1; it lists gpt",
    });
  });

  test("an endpoint that answers for an adapter that is not there lets the base answer for each", async () => {
    const adapters = ["sql"];
    expect(await probe({ models: ["m-1"], adapters }, { absent: "m-1:_none_" })).toMatchObject({ ok: true });
    const ignored = await probe({ models: ["m-1"], adapters: "ignored" }, { absent: "m-1:_none_" });
    expect(ignored).toMatchObject({ ok: false, reason: "AdapterIgnored" });
  });

  test("a wrong key, a forbidden host, a failing and a silent endpoint each have their reason", async () => {
    expect(await probe({ apiKey: "right" }, { apiKey: "wrong" })).toMatchObject({
      reason: "EndpointUnauthorized",
    });
    expect(await probe({}, { apiKey: "k", allowed: false })).toMatchObject({ reason: "HostNotAllowed" });
    expect(await probe({ mode: "error" })).toMatchObject({ reason: "EndpointError" });
    expect(await probe({ mode: "hang" }, { timeoutMs: 50 })).toMatchObject({ reason: "EndpointUnreachable" });
  });

  test("nobody there is EndpointUnreachable", async () => {
    const server = await startModelEndpoint();
    await server.close();
    const endpoint = { baseURL: server.baseURL, model: "m", timeoutMs: 2_000 };
    expect(await probeEndpoint({ endpoint })).toMatchObject({ ok: false, reason: "EndpointUnreachable" });
  });
});
