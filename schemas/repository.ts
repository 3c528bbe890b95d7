import { z } from "zod";
import {
  commitId,
  decimal,
  durationBetween,
  localRef,
  mapKeys,
  objectName,
  statusBase,
  suspend,
  withRules,
} from "./common.ts";
import { type CustomResource, columns, type KindDefinition } from "./kind.ts";

export const forgeSettings = z.strictObject({
  type: z.enum(["GitHub", "Gitea"]),
  apiURL: z
    .string()
    .max(2048)
    .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
    .optional()
    .describe("Base of the forge's API where it does not follow from spec.url."),
  secretRef: localRef
    .optional()
    .describe(
      "Secret with `token`, or for a GitHub App `appId`, `installationId` and `privateKey`; its annotation slipway.dev/allowed-hosts names the forge's API host.",
    ),
});

export const pullRequestSettings = z.strictObject({
  enabled: z.boolean().default(true).describe("Evaluate pull requests and report on them."),
  requiredSuites: z
    .array(objectName)
    .max(64)
    .optional()
    .meta({ "x-kubernetes-list-type": "set" })
    .describe(
      "Suites whose verdict decides the commit status; the others are advisory. Absent: every suite decides.",
    ),
  allowedHosts: z
    .array(
      z
        .string()
        .min(1)
        .max(260)
        .regex(/^(\*\.)?[a-z0-9.[\]:-]+$/),
    )
    .max(64)
    .optional()
    .meta({ "x-kubernetes-list-type": "set" })
    .describe(
      "Hosts (`host[:port]` or `*.domain`) that a pull request may point a deployment at, besides those that the base branch uses already.",
    ),
  onNotEvaluated: z
    .enum(["Pass", "Fail"])
    .default("Fail")
    .describe("What counts when a suite that the change touches could not be run."),
  maxCostPerPullRequest: decimal
    .optional()
    .describe("Most US dollars that evaluating one pull request may cost."),
});

export const repositorySpec = withRules(
  z.strictObject({
    url: z
      .string()
      .min(8)
      .max(2048)
      .regex(/^https?:\/\/[^\p{Z}\p{Cc}@?#]+$/u)
      .describe("HTTP(S) address of the git repository, without credentials."),
    branch: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[A-Za-z0-9_][A-Za-z0-9_./-]*$/)
      .default("main"),
    path: z
      .string()
      .max(512)
      .regex(/^([A-Za-z0-9_][A-Za-z0-9_.@+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*)?$/)
      .default("")
      .describe("Folder in the repository that holds the manifests; empty is the root."),
    interval: durationBetween("1s", "24h")
      .default("1m")
      .describe("How often to look for new commits and pull requests."),
    serviceAccountName: objectName.describe(
      "ServiceAccount of this namespace as which everything is applied.",
    ),
    secretRef: localRef
      .optional()
      .describe(
        "Secret with `username` and `password` for git; its annotation slipway.dev/allowed-hosts names the git host.",
      ),
    webhook: z
      .strictObject({ secretRef: localRef.describe("Secret with `secret`, shared with the forge.") })
      .optional()
      .describe("Accept webhooks at /webhooks that are signed with this secret."),
    prune: z.boolean().default(true).describe("Delete objects whose manifests were removed."),
    deletionBudget: z
      .int()
      .min(0)
      .max(10_000)
      .default(20)
      .describe("Most objects that one commit may delete; more is held until the budget is raised."),
    onInvalid: z
      .enum(["SkipDependents", "Halt"])
      .default("SkipDependents")
      .describe("What happens beside an invalid file: skip what depends on it, or apply nothing."),
    apply: z
      .boolean()
      .default(true)
      .describe("False leaves applying to Argo CD or Flux; pull requests are still evaluated."),
    forge: forgeSettings.optional(),
    pullRequests: pullRequestSettings.optional(),
    suspend,
  }),
  {
    rule: "!has(self.pullRequests) || !self.pullRequests.enabled || has(self.forge)",
    message: "pullRequests needs the section forge",
    check: (self) => !self.pullRequests?.enabled || self.forge !== undefined,
  },
);
export type RepositorySpec = z.infer<typeof repositorySpec>;

export const inventoryEntry = z.strictObject({
  id: z.string().max(512).describe("namespace/name/group/kind"),
  version: z.string().max(63),
  uid: z.string().max(64).optional().describe("Absent while the object is about to be created."),
  digest: z.string().max(64).describe("specDigest that was applied."),
});
export type InventoryEntry = z.infer<typeof inventoryEntry>;

export const repositoryStatus = z.strictObject({
  ...statusBase,
  lastAppliedRevision: commitId.optional().describe("The last commit that was applied completely."),
  lastAttemptedRevision: commitId.optional().describe("The last commit that was tried."),
  inventory: z
    .strictObject({
      entries: z.array(inventoryEntry).max(4000).optional().meta(mapKeys("id")),
    })
    .optional(),
  resources: z.int().min(0).optional().describe("Number of objects applied from git."),
  errors: z
    .array(
      z.strictObject({
        file: z.string().max(1024),
        line: z.int().min(0).optional(),
        column: z.int().min(0).optional(),
        field: z.string().max(512).optional(),
        message: z.string().max(2048),
      }),
    )
    .max(20)
    .optional()
    .describe("What is wrong in the repository, at most 20 entries."),
  pullRequests: z
    .array(
      z.strictObject({
        number: z.int().min(1),
        headSha: commitId,
        state: z.enum(["Pending", "Success", "Failure", "Error"]),
        summary: z.string().max(256).optional(),
      }),
    )
    .max(100)
    .optional()
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"] }),
});
export type RepositoryStatus = z.infer<typeof repositoryStatus>;
export type Repository = CustomResource<RepositorySpec, RepositoryStatus>;

export const repositoryKind: KindDefinition = {
  kind: "Repository",
  plural: "repositories",
  singular: "repository",
  shortNames: ["repo"],
  description: "A git repository that this namespace follows.",
  spec: repositorySpec,
  status: repositoryStatus,
  columns: [
    ...columns(
      { name: "Resources", type: "integer", jsonPath: ".status.resources" },
      { name: "Commit", type: "string", jsonPath: ".status.lastAppliedRevision", priority: 1 },
      { name: "URL", type: "string", jsonPath: ".spec.url", priority: 1 },
    ),
  ],
};
