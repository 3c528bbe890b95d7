import { z } from "zod";

/** A rule that types cannot express: the API server checks it in CEL, `slipway validate` with the function. */
export interface Rule<T> {
  /** CEL over `self` (and `oldSelf`). */
  readonly rule: string;
  /** Says what to write instead. */
  readonly message: string;
  /** The same in TypeScript; absent for rules about a change (`oldSelf`). */
  readonly check?: (self: T) => boolean;
}

/** Attaches rules to an object schema: as `x-kubernetes-validations` and as refinements. */
export function withRules<T extends z.ZodType>(schema: T, ...list: Rule<z.output<T>>[]): T {
  let refined: T = schema;
  for (const { check, message } of list) if (check) refined = refined.refine(check, { message }) as T;
  return refined.meta({
    ...schema.meta(),
    "x-kubernetes-validations": list.map(({ rule, message }) => ({ rule, message })),
  });
}

/** Makes a list of named entries a map for server-side apply, so that entries merge by key. */
export function mapKeys(...keys: string[]): Record<string, unknown> {
  return { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys };
}

/** A Kubernetes object name (RFC 1123 subdomain, at most 63 characters because it becomes a label value). */
export const objectName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

/** An identifier inside a document: a variable, a metric, a case. */
export const identifier = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/);

export const localRef = z.strictObject({
  name: objectName.describe("Name of the object, in the same namespace."),
});

/** A name that is an RFC 1123 label: of a namespace, a step, a split, a source. */
export const labelName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

/** A reference that may cross namespaces where the object allows it: see controller/kinds/shared-with.ts. */
export const sharedRef = z.strictObject({
  name: objectName.describe("Name of the object."),
  namespace: labelName
    .optional()
    .describe(
      "Of the object; the same unless given. Another one only where the object's spec.shareWith says so.",
    ),
});

/** Which namespaces may refer to an object: names, or `*` for all. Nobody else unless given. */
export const shareWith = withRules(
  z
    .array(
      z
        .string()
        .min(1)
        .max(63)
        .regex(/^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/),
    )
    .max(64)
    .meta({ "x-kubernetes-list-type": "set" }),
  {
    rule: "!('*' in self) || size(self) == 1",
    message: "write * alone: it means every namespace",
    check: (self) => !self.includes("*") || self.length === 1,
  },
);

export const secretKeyRef = z.strictObject({
  name: objectName.describe("Name of the Secret, in the same namespace."),
  key: z.string().min(1).max(253).default("apiKey").describe("Key in the Secret's data."),
});

const DURATION = /^([0-9]+(ms|s|m|h))+$/;

/** A duration such as `30s`, `5m` or `1h30m`. */
export const duration = z.string().min(2).max(32).regex(DURATION);

/** A `duration` within bounds, which are durations too. What is no duration at all is the pattern's to refuse. */
export function durationBetween(min: string, max: string): typeof duration {
  return withRules(duration, {
    rule: `!self.matches('${DURATION.source}') || (duration(self) >= duration('${min}') && duration(self) <= duration('${max}'))`,
    message: `write a duration from ${min} to ${max}`,
    check: (text) => durationMs(text) >= durationMs(min) && durationMs(text) <= durationMs(max),
  });
}

/** What a timer can hold: about 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds of a `duration`, at most about 24 days: a longer timer would fire at once. */
export function durationMs(text: string): number {
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
  let total = 0;
  for (const [, count, name] of text.matchAll(/([0-9]+)(ms|s|m|h)/g)) {
    total += Number(count) * unit[name as keyof typeof unit];
  }
  return Math.min(total, MAX_TIMER_MS);
}

/** A non-negative decimal number as text, so that money is never rounded by a float. */
export const decimal = z
  .string()
  .max(24)
  .regex(/^[0-9]{1,12}(\.[0-9]{1,10})?$/);

/** A path inside the Repository, relative to its root, without `..`. */
export const repositoryPath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*$/);

/** `sha256:` and 64 hex digits. */
export const digest = z
  .string()
  .length(71)
  .regex(/^sha256:[0-9a-f]{64}$/);

/** A full revision: 64 hex digits. */
export const s3Region = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/)
  .describe("Of S3; us-east-1 unless given.");

export const revision = z
  .string()
  .length(64)
  .regex(/^[0-9a-f]{64}$/);

/** A git commit id, SHA-1 or SHA-256. */
export const commitId = z
  .string()
  .max(64)
  .regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);

/** Any JSON value; becomes `x-kubernetes-preserve-unknown-fields`. */
export const anyJson = z.unknown();

export const suspend = z.boolean().optional().describe("True stops reconciling; what runs keeps running.");

/** metav1.Condition with the bounds of the upstream type. */
export const condition = z.strictObject({
  type: z.string().min(1).max(316),
  status: z.enum(["True", "False", "Unknown"]),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.string().max(64).meta({ format: "date-time" }),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
  message: z.string().max(32768),
});
export type Condition = z.infer<typeof condition>;

/** What every status has. */
export const statusBase = {
  observedGeneration: z
    .int()
    .min(-1)
    .optional()
    .describe("The generation that this status speaks of; -1 until the first reconcile."),
  conditions: z.array(condition).max(16).optional().meta(mapKeys("type")),
  revision: revision.optional().describe("Digest of everything that makes this object behave as it does."),
  shortRevision: z.string().max(12).optional().describe("The first 12 digits of the revision."),
  lastHandledRequestedAt: z
    .string()
    .max(256)
    .optional()
    .describe("The value of the annotation slipway.dev/requestedAt that was handled last."),
};
