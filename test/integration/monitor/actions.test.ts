import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Alert, AlertmanagerInput } from "../../../controller/kinds/monitor/actions/alertmanager.ts";
import type { WebhookInput } from "../../../controller/kinds/monitor/actions/webhook.ts";
import { alertmanager } from "../../../controller/kinds/monitor/effects/alertmanager.ts";
import { webhook } from "../../../controller/kinds/monitor/effects/webhook.ts";
import type { SecretReader } from "../../../controller/kube/secrets.ts";
import type { EffectContext, EffectHandler } from "../../../controller/runtime/kind.ts";
import { type MonitoringServer, startAlertmanager } from "../../monitoring/servers.ts";
import { waitFor } from "../../scenario/wait.ts";

const run = (handler: EffectHandler, input: object) =>
  handler(input as never, { signal: AbortSignal.timeout(20_000) } as EffectContext);

describe("Alertmanager", () => {
  let server: MonitoringServer;
  beforeAll(async () => {
    server = await startAlertmanager();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const alert = (signal: string, changes: Partial<Alert> = {}): Alert => ({
    labels: { alertname: "SlipwayMonitor", namespace: "team", signal, severity: "critical" },
    annotations: { summary: `signal ${signal} is in ALERT` },
    startsAt: new Date(Date.now() - 5_000).toISOString(),
    ...changes,
  });
  const send = (alerts: readonly Alert[], changes: Partial<AlertmanagerInput> = {}) => {
    const input: AlertmanagerInput = {
      namespace: "team",
      serviceAccountName: "team",
      url: server.url,
      alerts,
      validMs: 240_000,
      ...changes,
    };
    return run(alertmanager({} as SecretReader), input);
  };
  const active = async (signal: string) => {
    const found = await fetch(`${server.url}/api/v2/alerts?filter=signal%3D${signal}`);
    return (await found.json()) as { endsAt: string; startsAt: string; labels: object; status: object }[];
  };

  test("an alert arrives, expires later when it is sent again, and goes when it is over", async () => {
    const first = alert("latency");
    await send([first], { validMs: 60_000 });
    const [seen] = await waitFor(
      "the alert",
      () => active("latency"),
      (list) => list.length === 1,
    );
    expect(seen).toMatchObject({ labels: first.labels, status: { state: expect.any(String) } });
    expect(Date.parse(seen?.startsAt ?? "")).toBe(Date.parse(first.startsAt));
    await send([first]);
    await waitFor(
      "the alert to be good for longer",
      () => active("latency"),
      ([again]) => Date.parse(again?.endsAt ?? "") > Date.parse(seen?.endsAt ?? "") + 100_000,
    );
    await send([{ ...first, endsAt: new Date(Date.now() - 1_000).toISOString() }]);
    await waitFor(
      "the alert to be resolved",
      () => active("latency"),
      (list) => list.length === 0,
    );
  });

  test("says that it will never take something", async () => {
    const labels = { "not a label": "x" };
    await expect(send([alert("bad", { labels })])).rejects.toMatchObject({
      code: "AlertmanagerRejected",
      retryable: false,
    });
    await expect(send([alert("a")], { url: `${server.url}/wrong` })).rejects.toMatchObject({
      code: "AlertmanagerRejected",
    });
  });

  test("nobody there", async () => {
    await expect(send([alert("a")], { url: "http://127.0.0.1:1" })).rejects.toMatchObject({
      code: "AlertmanagerUnreachable",
      retryable: true,
    });
  });
});

describe("Webhook", () => {
  const key = "canary-signing-key";
  let server: Server;
  let host: string;
  let answer = 200;
  const received: { headers: Record<string, unknown>; body: string }[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        received.push({ headers: request.headers, body });
        response.writeHead(answer, { location: "http://127.0.0.1:1/" }).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const tell = (allowedHosts: readonly string[] = [host]) => {
    const input: WebhookInput = {
      namespace: "team",
      serviceAccountName: "team",
      url: `http://${host}/hook`,
      secretRef: { name: "hook", key: "key" },
      body: {
        id: "u/chat/7",
        monitor: { namespace: "team", name: "m", uid: "u" },
        target: { kind: "ModelDeployment", name: "m" },
        transition: { id: 7, time: "2030-01-01T00:00:00Z", signal: "slow", from: "OK", to: "ALERT" },
      },
    };
    const secrets = { read: async () => ({ data: { key }, allowedHosts }) } as unknown as SecretReader;
    return run(webhook(secrets), input);
  };

  test("is signed over its bytes, with the same key each time", async () => {
    await tell();
    await tell();
    const [first, second] = received.slice(-2);
    const signature = createHmac("sha256", key)
      .update(first?.body ?? "")
      .digest("hex");
    expect(first?.headers["x-slipway-signature-256"]).toBe(`sha256=${signature}`);
    expect(first?.headers["idempotency-key"]).toBe("u/chat/7");
    expect(second).toEqual(first);
    expect(JSON.parse(first?.body ?? "")).toMatchObject({ transition: { signal: "slow", to: "ALERT" } });
    expect(JSON.stringify(received)).not.toContain(key);
  });

  test.each([
    [500, "WebhookUnreachable", true],
    [429, "WebhookUnreachable", true],
    [400, "WebhookRejected", false],
    [302, "WebhookRejected", false],
  ])("HTTP %d", async (status, code, retryable) => {
    answer = status;
    await expect(tell()).rejects.toMatchObject({ code, retryable });
    answer = 200;
  });

  test("goes only where its Secret may", async () => {
    const before = received.length;
    await expect(tell(["hooks.example.com"])).rejects.toMatchObject({ code: "HostNotAllowed" });
    expect(received.length).toBe(before);
  });
});
