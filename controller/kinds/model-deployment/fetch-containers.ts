import { IMAGES } from "../images.ts";
import { CONTAINER_SECURITY } from "../pod-parts.ts";
import { tokenFrom } from "../work-token.ts";
import { childName, type Revision } from "./names.ts";
import type { EnvVar } from "./runtimes/types.ts";
import { claimOf, folderOf, MODELS, type PinnedSource } from "./sources.ts";

/** Keys that a source's Secret may have; the controller has checked that those which are needed are there. */
const SECRET_KEYS = {
  "hf:": ["HF_TOKEN", "token"],
  "s3:": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
} as const;

/** One container a source: each sees its own Secret alone, and its termination message says which one failed. */
export function fetchContainers(of: Revision, user: number): Record<string, unknown>[] {
  return of.sources
    .filter(({ resolved }) => !claimOf(resolved))
    .map((source, i) => ({
      name: source.name === "model" ? "fetch-model" : `fetch-adapter-${i}`,
      image: IMAGES.controller,
      args: [
        "fetch",
        source.resolved,
        folderOf(source),
        ...(source.file === undefined ? [] : ["--file", source.file]),
      ],
      env: environment(of, source),
      resources: {
        requests: { cpu: "100m", memory: "128Mi" },
        limits: { memory: "512Mi" },
      },
      // Its last words are a sentence for the condition.
      terminationMessagePolicy: "FallbackToLogsOnError",
      securityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        ...CONTAINER_SECURITY,
      },
      volumeMounts: [{ name: "models", mountPath: MODELS }],
    }));
}

export const needsToken = (sources: readonly PinnedSource[]): boolean =>
  sources.some(({ resolved }) => resolved.startsWith("artifact:"));

function environment({ deployment, revision, workUrl }: Revision, source: PinnedSource): EnvVar[] {
  if (source.resolved.startsWith("artifact:")) {
    return [
      { name: "SLIPWAY_URL", value: workUrl ?? "" },
      { name: "SLIPWAY_TOKEN", valueFrom: tokenFrom(childName(deployment, revision)) },
    ];
  }
  const { secret, endpoint, region } = source;
  const known = SECRET_KEYS[source.resolved.slice(0, 3) as keyof typeof SECRET_KEYS] ?? [];
  const keys = secret?.tokenKey === undefined ? known : ["token"];
  return [
    ...(endpoint === undefined ? [] : [{ name: "SLIPWAY_SOURCE_ENDPOINT", value: endpoint }]),
    ...(region === undefined ? [] : [{ name: "SLIPWAY_SOURCE_REGION", value: region }]),
    ...(secret ? keys.map((key) => fromSecret(secret.name, key, secret.tokenKey)) : []),
  ];
}

function fromSecret(name: string, key: string, tokenKey: string | undefined): EnvVar {
  return {
    name: `SLIPWAY_SECRET_${key.toUpperCase()}`,
    valueFrom: {
      secretKeyRef: { name, key: tokenKey ?? key, optional: true },
    },
  };
}
