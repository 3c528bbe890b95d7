import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { KubeClient } from "../../controller/kube/client.ts";
import { loadConnection } from "../../controller/kube/credentials.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { adminClient, controllerToken, kubeconfigPath, makeTenant, uniqueName } from "../scenario/cluster.ts";
import { GiteaAdmin, type GiteaUser } from "../scenario/gitea.ts";
import { type ProxyHooks, type RunningProxy, startProxy } from "./proxy.ts";
import { classifyForge, classifyKube } from "./sites.ts";
import { answer } from "./story.ts";

/** What all runs share. Addresses stay the same, so that what runs leave behind can be compared. */
export interface World extends AsyncDisposable {
  readonly client: KubeClient;
  readonly gitea: GiteaAdmin;
  readonly owner: GiteaUser;
  /** Whose token the controller has. */
  readonly bot: GiteaUser;
  readonly model: ModelEndpointHandle;
  readonly forge: RunningProxy;
  /** Of the API server behind the proxy, with the rights of the controller's ServiceAccount. */
  readonly kubeconfig: string;
  readonly folder: string;
  /** What the proxies tell; replaced by each run. */
  hooks: ProxyHooks | undefined;
}

/** Long enough that a kill finds calls in flight. */
const MODEL_LATENCY_MS = 30;

export async function createWorld(): Promise<World> {
  const client = adminClient();
  const folder = await mkdtemp(join(tmpdir(), "slipway-crash-"));
  // The controller's account has to exist before it can get a token.
  await makeTenant(client, uniqueName("crash"));
  const connection = loadConnection({ path: kubeconfigPath() });
  const { ca, servername } = (await connection.credentials()).tls;
  const gitea = GiteaAdmin.fromEnv();
  const hooks = () => world.hooks;
  const api = await startProxy({
    upstream: connection.origin,
    tls: { ca, servername },
    headers: { authorization: `Bearer ${await controllerToken(client)}` },
    classify: classifyKube,
    hooks,
  });
  const forge = await startProxy({ upstream: gitea.url, classify: classifyForge, hooks });
  const model = await startModelEndpoint({ answer, latencyMs: MODEL_LATENCY_MS });
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigOf(api.url));
  const world: World = {
    client,
    gitea,
    owner: await gitea.createUser(uniqueName("owner")),
    bot: await gitea.createUser(uniqueName("bot")),
    model,
    forge,
    kubeconfig,
    folder,
    hooks: undefined,
    async [Symbol.asyncDispose]() {
      await Promise.all([api[Symbol.asyncDispose](), forge[Symbol.asyncDispose](), model.close()]);
      await client.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return world;
}

function kubeconfigOf(server: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "proxy", cluster: { server } }],
    users: [{ name: "nobody", user: {} }],
    contexts: [{ name: "proxy", context: { cluster: "proxy", user: "nobody" } }],
    "current-context": "proxy",
  });
}
