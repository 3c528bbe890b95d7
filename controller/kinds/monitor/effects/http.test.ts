import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { certificateAuthority } from "../../../../test/certificates.ts";
import { callOut } from "./http.ts";

test("the machine itself is not asked, where clouds hand out credentials", async () => {
  const call = {
    url: "http://169.254.169.254/api/v1/query",
    method: "POST",
    signal: new AbortController().signal,
  } as const;
  await expect(callOut(call, "PrometheusUnreachable")).rejects.toMatchObject({
    code: "HostNotAllowed",
    retryable: false,
  });
});

test("what is wrong with a certificate is said in words, with what to do", async () => {
  const server = createServer(certificateAuthority("test").issue({ days: -1 }), (_, response) =>
    response.end(),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const { signal } = new AbortController();
    const call = { url: `https://127.0.0.1:${port}/api/v1/query`, method: "GET", signal } as const;
    await expect(callOut(call, "PrometheusUnreachable")).rejects.toMatchObject({
      code: "PrometheusUnreachable",
      message: expect.stringMatching(/^127\.0\.0\.1:\d+: its certificate .+ \([A-Z_]+\)$/),
      hint: expect.stringMatching(/./),
      retryable: true,
    });
  } finally {
    server.close();
  }
});
