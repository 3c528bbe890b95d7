import type { KubeClient } from "../../controller/kube/client.ts";
import { adminClient, clearNamespace, makeTenant, uniqueName } from "../scenario/cluster.ts";
import { GiteaAdmin, type GiteaUser } from "../scenario/gitea.ts";
import { Controller } from "./controller.ts";
import { Tenant, type TenantOptions } from "./tenant.ts";

/** One controller on the real cluster and forge, for the tests of one file. */
export class World implements AsyncDisposable {
  readonly client: KubeClient;
  readonly gitea: GiteaAdmin;
  /** Owns the repositories. */
  readonly owner: GiteaUser;
  /** Whose token Slipway has. */
  readonly bot: GiteaUser;
  readonly controller: Controller;
  readonly #tenants: Tenant[] = [];

  private constructor(
    client: KubeClient,
    gitea: GiteaAdmin,
    users: { owner: GiteaUser; bot: GiteaUser },
    controller: Controller,
  ) {
    this.client = client;
    this.gitea = gitea;
    this.owner = users.owner;
    this.bot = users.bot;
    this.controller = controller;
  }

  /** @param env more of the controller's environment */
  static async create(env: Readonly<Record<string, string>> = {}): Promise<World> {
    const client = adminClient();
    // The controller's account has to be there before it can get a token.
    await makeTenant(client, uniqueName("e2e"));
    const gitea = GiteaAdmin.fromEnv();
    const owner = await gitea.createUser(uniqueName("owner"));
    const bot = await gitea.createUser(uniqueName("bot"));
    return new World(client, gitea, { owner, bot }, await Controller.start(client, env));
  }

  /** A namespace and a git repository of its own. */
  async tenant(options: TenantOptions = {}): Promise<Tenant> {
    const tenant = await Tenant.create(this, options);
    this.#tenants.push(tenant);
    return tenant;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    for (const { namespace, repository } of this.#tenants) {
      await clearNamespace(this.client, namespace);
      await repository[Symbol.asyncDispose]();
    }
    await this.client.close();
  }
}
