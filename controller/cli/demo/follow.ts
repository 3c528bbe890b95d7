import { randomBytes } from "node:crypto";
import { resourceTypeOf } from "../../gitops/apply.ts";
import { Secret } from "../../kube/resources.ts";
import { createWebhook } from "./gitea.ts";
import { demoObjects } from "./objects.ts";
import { ACCOUNT, NAMESPACE, type Stage } from "./stage.ts";

/** Has the cluster follow a repository of the demo's forge: Secrets, a Repository, a webhook. */
export async function followRepository(
  { client, controller, forge: server, options: { signal } }: Stage,
  name: string,
): Promise<void> {
  const repository = `${server.user}/${name}`;
  const webhookSecret = randomBytes(20).toString("hex");
  const git = { ...server, url: `${server.url}/${repository}.git`, apiURL: `${server.url}/api/v1` };
  for (const object of demoObjects({ name, namespace: NAMESPACE, account: ACCOUNT, git, webhookSecret })) {
    const type = object.kind === "Secret" ? Secret : resourceTypeOf(object.kind);
    await client.apply(type, object, { fieldManager: "demo", force: true, signal });
  }
  await createWebhook(server, repository, `${controller.url}/webhooks`, webhookSecret);
}
