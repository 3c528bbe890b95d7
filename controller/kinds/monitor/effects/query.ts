import { z } from "zod";
import { SlipwayError } from "../../../errors.ts";
import type { Json } from "../../../graph/canonical.ts";
import type { SecretReader } from "../../../kube/secrets.ts";
import type { EffectHandler } from "../../../runtime/kind.ts";
import type { QueryInput, QueryOutput, QueryResult } from "../signals/prometheus.ts";
import { callOut } from "./http.ts";
import { secretFor } from "./secret.ts";

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
const sample = z.tuple([z.number(), z.string()]);
const answerShape = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("success"),
    data: z.discriminatedUnion("resultType", [
      z.object({ resultType: z.literal("vector"), result: z.array(z.object({ value: sample })) }),
      z.object({ resultType: z.literal("scalar"), result: sample }),
      z.object({ resultType: z.enum(["matrix", "string"]) }),
    ]),
  }),
  z.object({ status: z.literal("error"), errorType: z.string(), error: z.string() }),
]);

/** Asks Prometheus for all signals, one after the other. An answer that is no number is a result too. */
export function query(secrets: SecretReader): EffectHandler {
  return async (input, { signal }) => {
    const { url, secretRef, queries, ...tenant } = input as unknown as QueryInput;
    const secret = secretRef && (await secretFor(secretRef, tenant, secrets));
    const results: Record<string, QueryResult> = {};
    for (const [name, text] of Object.entries(queries)) {
      const answer = await callOut(
        {
          url: `${url.replace(/\/+$/, "")}/api/v1/query`,
          method: "POST",
          headers: {
            "content-type": "application/x-www-form-urlencoded",
            accept: "application/json",
            ...(secret ? { authorization: `Bearer ${secret.value}` } : {}),
          },
          body: new URLSearchParams({ query: text }).toString(),
          signal,
          ...(secret ? { secret } : {}),
        },
        "PrometheusUnreachable",
      );
      results[name] = resultOf(answer.status, answer.text);
    }
    return { results } satisfies QueryOutput as unknown as Json;
  };
}

/** @throws SlipwayError PrometheusUnauthorized, PrometheusUnreachable: nothing was said of the query */
export function resultOf(status: number, text: string): QueryResult {
  if (status === 401 || status === 403)
    throw new SlipwayError("PrometheusUnauthorized", `Prometheus refused the request with ${status}`, {
      hint: "set spec.prometheus.secretRef to a Secret with a bearer token",
    });
  const parsed = answerShape.safeParse(parseJson(text));
  if (!parsed.success)
    throw new SlipwayError(
      "PrometheusUnreachable",
      `HTTP ${status} with something that is no Prometheus answer`,
      {
        hint: "spec.prometheus.url is the base of Prometheus' HTTP API, without /api/v1",
        retryable: true,
      },
    );
  const { data } = parsed;
  if (data.status === "error")
    return { reason: "QueryFailed", message: `${data.errorType}: ${data.error}`.slice(0, 400) };
  if (data.data.resultType === "scalar") return numberOf(data.data.result[1]);
  if (data.data.resultType !== "vector")
    return {
      reason: "QueryFailed",
      message: `the query gives a ${data.data.resultType}: write one that gives a number`,
    };
  const { result } = data.data;
  if (result.length === 0) return { reason: "NoSeries", message: "no series matches the query" };
  if (result.length > 1)
    return {
      reason: "ManySeries",
      message: `the query gives ${result.length} series: wrap it in sum() or max()`,
    };
  return numberOf(result[0]?.value[1] ?? "NaN");
}

function numberOf(text: string): QueryResult {
  const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
  // A quantile of nothing, and a rate by a rate of nothing.
  if (!Number.isFinite(value))
    return { reason: "NoTraffic", message: `the query gives ${text}: there were no requests` };
  return { value };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
