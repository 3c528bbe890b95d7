import { durationMs } from "../../../schemas/common.ts";
import type { ModelDeployment, ModelDeploymentStatus } from "../../../schemas/model-deployment.ts";
import { SlipwayError } from "../../errors.ts";
import { probeEndpoint } from "../../eval/model/probe.ts";
import { digestOf, type Json } from "../../graph/canonical.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { Deployment, PersistentVolumeClaim, Pod, Service } from "../../kube/resources.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { EffectHandler, Kind, View } from "../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { endpointOf } from "../endpoint.ts";
import { bundle } from "../eval-suite/index.ts";
import { tenantOf } from "../tenant.ts";
import { EVAL_RUN, MODEL_DEPLOYMENT } from "../types.ts";
import { decide, type ObservedDeployment, type ProbeInput, type ProbeOutput, probeInput } from "./decide.ts";
import { type AdmitDependencies, admit, ask, resolve } from "./effects.ts";
import { decideInCluster } from "./in-cluster.ts";
import { dependenciesOf, observeInCluster } from "./observe-in-cluster.ts";
import type { ObservedInCluster } from "./present.ts";

type Observed = ObservedDeployment | ObservedInCluster;

function observe(object: KubeObject, view: View, workUrl: string | undefined): Observed {
  const deployment = object as unknown as ModelDeployment;
  if (deployment.spec.type === "InCluster") return observeInCluster(object, view, workUrl);
  const serviceAccountName = tenantOf(object, view);
  const input = probeInput(deployment, serviceAccountName);
  const { namespace = "", name } = object.metadata;
  return {
    deployment,
    serviceAccountName,
    probe: input && view.effect({ kind: "ModelDeployment", namespace, name }, "probe", digestOf(input)),
  };
}

/** Reasons that only a person can mend. It is asked again all the same: a Secret that changes wakes nobody. */
const TERMINAL = new Set([
  "HostNotAllowed",
  "SecretNotBound",
  "SecretIncomplete",
  "InvalidAllowedHosts",
  "EndpointUnauthorized",
  "ModelNotFound",
]);
const PROBE_TIMEOUT_MS = 10_000;

function probe(secrets: SecretReader): EffectHandler {
  return async (input, { signal }) => {
    const { namespace, serviceAccountName, external } = input as unknown as ProbeInput;
    let output: ProbeOutput;
    try {
      const { endpoint, allowedHosts } = await endpointOf(
        external,
        { namespace, serviceAccountName },
        secrets,
      );
      const timeoutMs = Math.min(PROBE_TIMEOUT_MS, durationMs(external.timeout));
      const result = await probeEndpoint({ endpoint: { ...endpoint, timeoutMs }, allowedHosts, signal });
      output = result.ok
        ? { ok: true, message: `${external.model} answers` }
        : {
            ok: false,
            reason: result.reason,
            message: result.message,
            terminal: TERMINAL.has(result.reason),
          };
    } catch (error) {
      if (!(error instanceof SlipwayError) || error.retryable) throw error;
      output = { ok: false, reason: error.code, message: error.message, terminal: TERMINAL.has(error.code) };
    }
    return output as unknown as Json;
  };
}

export interface ModelDeploymentDependencies extends AdmitDependencies {
  readonly secrets: SecretReader;
  readonly blobs: BlobStore;
  readonly reports: Pick<ReportStore, "hasUploadIn" | "addUpload">;
  /** The controller as pods reach it. */
  readonly workUrl: string | undefined;
}

export function modelDeployment(
  dependencies: ModelDeploymentDependencies,
): Kind<Observed, ModelDeploymentStatus> {
  const { secrets, workUrl } = dependencies;
  return {
    type: MODEL_DEPLOYMENT,
    childTypes: [Deployment, Service, PersistentVolumeClaim, EVAL_RUN],
    watches: [Deployment, Service, Pod],
    observe: (object, view) => observe(object, view, workUrl),
    decide: (observed, now) => ("runs" in observed ? decideInCluster(observed, now) : decide(observed, now)),
    dependencies: (object) => dependenciesOf(object as unknown as ModelDeployment),
    effects: {
      probe: probe(secrets),
      ask,
      admit: admit(dependencies),
      resolve: resolve(secrets),
      bundle: bundle(dependencies),
    },
  };
}
