import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "../../controller/kube/client.ts";
import type { Repository } from "../../schemas/repository.ts";
import { freePort } from "../free-port.ts";
import {
  adminClient,
  applyRepository,
  clearNamespace,
  createSecret,
  hasCondition,
  makeTenant,
  uniqueName,
  waitForObject,
  writeControllerKubeconfig,
} from "./cluster.ts";
import { ControllerProcess } from "./controller.ts";
import { GiteaAdmin } from "./gitea.ts";
import type { Files, GiteaRepository } from "./gitea-repository.ts";

export interface FollowOptions {
  /** The first commit. */
  readonly files: Files;
  /** How often the controller looks by itself. */
  readonly interval: string;
  /** A private repository with credentials, a signed webhook and pull requests; else a public one and nothing. */
  readonly forge: boolean;
  readonly leaderElection?: boolean;
  /** The controller gives work to pods, which reach it on this machine. */
  readonly work?: boolean;
}

/** A tenant with one git repository, and a controller process of its own that follows it. */
export interface FollowedRepository extends AsyncDisposable {
  /** An administrator, not the controller. */
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Repository object. */
  readonly name: string;
  readonly git: GiteaRepository;
  readonly controller: ControllerProcess;
  readonly logFile: string;
}

/** Sets everything up and resolves when the first commit is applied; on the harness' cluster and forge. */
export async function followRepository(options: FollowOptions): Promise<FollowedRepository> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "slipway-followed-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const client = adminClient();
  parts.defer(() => client.close());
  const namespace = uniqueName("followed");
  await makeTenant(client, namespace);
  const admin = GiteaAdmin.fromEnv();
  const owner = await admin.createUser(uniqueName("owner"));
  const name = "team";
  const git = parts.use(await admin.createRepo(owner, name, { private: options.forge }));
  const kubeconfig = join(folder, "kubeconfig");
  await writeControllerKubeconfig(client, kubeconfig);
  const logFile = join(folder, "controller.log");
  const controller = parts.use(
    await ControllerProcess.start({
      ...{ kubeconfig, namespace, logFile, stateDir: join(folder, "state") },
      leaderElection: options.leaderElection ?? false,
      ...(options.work ? { reachableAt: { host: "127.0.0.1", port: await freePort() } } : {}),
    }),
  );
  parts.defer(() => clearNamespace(client, namespace));
  const commit = await git.commitFiles("main", options.files, "Start");
  if (options.forge) {
    const host = new URL(admin.url).host;
    const webhook = randomBytes(20).toString("hex");
    await createSecret(client, namespace, "git", { username: owner.login, password: owner.password }, [host]);
    await createSecret(client, namespace, "forge", { token: owner.token }, [host]);
    await createSecret(client, namespace, "webhook", { secret: webhook });
    await git.addWebhook(`${controller.url}/webhooks`, webhook);
  }
  await applyRepository(client, namespace, name, {
    url: git.cloneUrl,
    interval: options.interval,
    ...(options.forge
      ? {
          secretRef: { name: "git" },
          webhook: { secretRef: { name: "webhook" } },
          forge: { type: "Gitea", apiURL: `${admin.url}/api/v1`, secretRef: { name: "forge" } },
          pullRequests: { enabled: true, onNotEvaluated: "Pass" },
        }
      : {}),
  });
  await waitForObject<Repository>(
    client,
    ["Repository", namespace, name],
    `applied at ${commit}`,
    (object) => object.status?.lastAppliedRevision === commit && hasCondition(object, "Ready"),
    120_000,
  );
  const owned = parts.move();
  return {
    ...{ client, namespace, name, git, controller, logFile },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
