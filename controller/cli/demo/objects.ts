import { ANNOTATION_ALLOWED_HOSTS, API_VERSION } from "../../../schemas/kind.ts";
import type { KubeObject } from "../../kube/resources.ts";

export interface DemoObjects {
  /** Of the Repository. */
  readonly name: string;
  readonly namespace: string;
  readonly account: string;
  readonly git: {
    readonly url: string;
    readonly apiURL: string;
    readonly user: string;
    readonly password: string;
    readonly token: string;
  };
  readonly webhookSecret: string;
}

/** The Secrets and the Repository that a platform team would set up once. */
export function demoObjects({
  name: repository,
  namespace,
  account,
  git,
  webhookSecret,
}: DemoObjects): KubeObject[] {
  const host = new URL(git.url).host;
  const secret = (name: string, stringData: Record<string, string>): KubeObject => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, annotations: { [ANNOTATION_ALLOWED_HOSTS]: host } },
    stringData,
  });
  return [
    secret("git-credentials", { username: git.user, password: git.password }),
    secret("forge-token", { token: git.token }),
    secret("webhook", { secret: webhookSecret }),
    {
      apiVersion: API_VERSION,
      kind: "Repository",
      metadata: { name: repository, namespace },
      spec: {
        url: git.url,
        branch: "main",
        interval: "30s",
        serviceAccountName: account,
        secretRef: { name: "git-credentials" },
        webhook: { secretRef: { name: "webhook" } },
        forge: { type: "Gitea", apiURL: git.apiURL, secretRef: { name: "forge-token" } },
        pullRequests: { enabled: true },
      },
    },
  ];
}
