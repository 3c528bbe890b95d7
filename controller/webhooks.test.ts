import { createHmac } from "node:crypto";
import { pino } from "pino";
import { expect, test } from "vitest";
import { API_VERSION } from "../schemas/kind.ts";
import type { KubeObject } from "./kube/resources.ts";
import type { SecretReader } from "./kube/secrets.ts";
import type { ObjectStore } from "./kube/store.ts";
import { webhookRoute } from "./webhooks.ts";

const repository = (name: string, path: string, webhook = true): KubeObject => ({
  apiVersion: API_VERSION,
  kind: "Repository",
  metadata: { name, namespace: "team" },
  spec: {
    url: `https://git.example.com/${path}.git`,
    branch: "main",
    serviceAccountName: "team-account",
    forge: { type: "Gitea" },
    ...(webhook ? { webhook: { secretRef: { name: `${name}-hook` } } } : {}),
  },
});

/** The route over some repositories; each one's secret is `secret-of-<name>`. */
function world(repositories: KubeObject[]) {
  const woken: string[][] = [];
  const reads: unknown[][] = [];
  const secrets = {
    read: async (...args: unknown[]) => {
      reads.push(args);
      const name = String(args[1]);
      if (name.startsWith("broken")) throw new Error("no such Secret");
      return { data: { secret: ` secret-of-${name.replace("-hook", "")}\n` }, allowedHosts: [] };
    },
  } as unknown as SecretReader;
  const store = { list: () => repositories } as unknown as ObjectStore<KubeObject>;
  const route = webhookRoute(store, secrets, pino({ level: "silent" }), (keys) => woken.push([...keys]));
  const post = (path: string, secret: string, delivery = "1") => {
    const body = Buffer.from(
      JSON.stringify({ ref: "refs/heads/main", after: "a".repeat(40), repository: { full_name: path } }),
    );
    const headers = {
      "content-type": "application/json",
      "x-gitea-event": "push",
      "x-gitea-delivery": delivery,
      "x-gitea-signature": createHmac("sha256", secret).update(body).digest("hex"),
    };
    return route.handle({ headers, body } as never);
  };
  return { post, woken, reads };
}

test("a signed push wakes the repository that it is of", async () => {
  const { post, woken, reads } = world([repository("a", "org/a"), repository("b", "org/b")]);
  expect((await post("org/a", "secret-of-a")).status).toBeLessThan(300);
  expect(woken).toEqual([["team/a"]]);
  expect(reads[0]).toEqual(["team", "a-hook", "team-account", { bound: false }]);
});

test("another repository's secret does not", async () => {
  const { post, woken } = world([repository("a", "org/a"), repository("b", "org/b")]);
  expect((await post("org/a", "secret-of-b")).status).toBeGreaterThanOrEqual(400);
  expect(woken).toEqual([]);
});

test("a repository without a webhook is woken by nobody", async () => {
  const { post, woken, reads } = world([repository("a", "org/a", false)]);
  expect((await post("org/a", "")).status).toBeGreaterThanOrEqual(400);
  expect(woken).toEqual([]);
  expect(reads).toEqual([]);
});

test("a secret that cannot be read does not keep the others from being heard", async () => {
  const { post, woken } = world([repository("broken", "org/x"), repository("a", "org/a")]);
  await post("org/a", "secret-of-a");
  expect(woken).toEqual([["team/a"]]);
});

test("the same delivery again wakes nobody twice", async () => {
  const { post, woken } = world([repository("a", "org/a")]);
  await post("org/a", "secret-of-a", "42");
  await post("org/a", "secret-of-a", "42");
  expect(woken).toHaveLength(1);
});
