import { expect, test } from "vitest";
import { resultOf } from "./query.ts";

const vector = (...values: string[]) => ({
  status: "success",
  data: { resultType: "vector", result: values.map((value) => ({ metric: {}, value: [1, value] })) },
});

test.each([
  ["one series", vector("1.5"), { value: 1.5 }],
  ["a scalar", { status: "success", data: { resultType: "scalar", result: [1, "2"] } }, { value: 2 }],
  ["no series", vector(), { reason: "NoSeries" }],
  ["several", vector("1", "2"), { reason: "ManySeries" }],
  ["a quantile of nothing", vector("NaN"), { reason: "NoTraffic" }],
  ["a division by nothing", vector("+Inf"), { reason: "NoTraffic" }],
  ["a range", { status: "success", data: { resultType: "matrix", result: [] } }, { reason: "QueryFailed" }],
  [
    "a bad query",
    { status: "error", errorType: "bad_data", error: "1:2: parse error" },
    { reason: "QueryFailed", message: "bad_data: 1:2: parse error" },
  ],
])("%s", (_, body, expected) => {
  expect(resultOf(200, JSON.stringify(body))).toMatchObject(expected);
});

test.each([
  [200, "<html>", "PrometheusUnreachable", true],
  [502, "", "PrometheusUnreachable", true],
  [401, "", "PrometheusUnauthorized", false],
  [403, "{}", "PrometheusUnauthorized", false],
])("HTTP %d %s says nothing of the query", (status, text, code, retryable) => {
  expect(() => resultOf(status, text)).toThrow(expect.objectContaining({ code, retryable }));
});
