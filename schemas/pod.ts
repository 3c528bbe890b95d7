import * as z from "zod";
import { mapKeys, objectName } from "./common.ts";

/** A Kubernetes quantity such as `500m`, `16Gi` or `1`. */
export const quantity = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/);

const resourceList = z
  .record(z.string().max(128), quantity)
  .meta({ maxProperties: 16 })
  .describe("By resource, e.g. cpu, memory, nvidia.com/gpu.");

const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/);

const toleration = z.strictObject({
  key: z.string().max(316).optional(),
  operator: z.enum(["Exists", "Equal"]).optional(),
  value: labelValue.optional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
  tolerationSeconds: z.int().min(0).max(2_147_483_647).optional(),
});

/** The parts of a pod's specification that a person sets; the rest is Slipway's. Names and meaning are Kubernetes'. */
export const podOptions = z.strictObject({
  image: z
    .string()
    .min(1)
    .max(512)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/)
    .optional()
    .describe("Another image than that of this release."),
  imagePullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).optional(),
  imagePullSecrets: z
    .array(z.strictObject({ name: objectName }))
    .max(8)
    .optional()
    .meta(mapKeys("name")),
  resources: z
    .strictObject({ requests: resourceList.optional(), limits: resourceList.optional() })
    .optional()
    .describe("Of the container. GPUs are limits, e.g. nvidia.com/gpu: 1."),
  nodeSelector: z.record(z.string().max(316), labelValue).meta({ maxProperties: 16 }).optional(),
  tolerations: z.array(toleration).max(16).optional(),
  priorityClassName: objectName.optional(),
  runtimeClassName: objectName.optional(),
  serviceAccountName: objectName
    .optional()
    .describe("For what the platform binds to accounts, such as pull secrets; no token of it is mounted."),
});
export type PodOptions = z.infer<typeof podOptions>;
