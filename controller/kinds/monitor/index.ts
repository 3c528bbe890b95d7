import type { Monitor, MonitorStatus } from "../../../schemas/monitor.ts";
import type { Repository } from "../../../schemas/repository.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { Kind } from "../../runtime/kind.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import { bundle } from "../eval-suite/index.ts";
import { EVAL_RUN, EVAL_SUITE, MODEL_DEPLOYMENT, MONITOR } from "../types.ts";
import { decide, type ObservedMonitor } from "./decide.ts";
import { alertmanager } from "./effects/alertmanager.ts";
import { compare } from "./effects/compare.ts";
import { probe } from "./effects/probe.ts";
import { prometheusRule } from "./effects/prometheus-rule.ts";
import { type ProposalForge, pullRequest } from "./effects/pull-request.ts";
import { query } from "./effects/query.ts";
import { webhook } from "./effects/webhook.ts";
import { observe } from "./observe.ts";

export interface MonitorDependencies {
  readonly secrets: SecretReader;
  /** For what is no child of a Monitor, because its type may be missing. */
  readonly client: KubeClient;
  readonly blobs: BlobStore;
  readonly reports: Pick<ReportStore, "hasUploadIn" | "addUpload">;
  /** The forge of a Repository, with the tenant's own credential. */
  readonly forgeOf: (repository: Repository) => Promise<ProposalForge>;
}

export function monitor({
  secrets,
  client,
  blobs,
  reports,
  forgeOf,
}: MonitorDependencies): Kind<ObservedMonitor, MonitorStatus> {
  return {
    type: MONITOR,
    childTypes: [EVAL_RUN],
    observe,
    decide,
    dependencies: (object) => {
      const { spec } = object as unknown as Monitor;
      const suites = spec.signals.flatMap(({ replay }) => replay?.suiteRef.name ?? []);
      const proposals = (spec.actions ?? []).flatMap(
        ({ openPullRequest }) => openPullRequest?.suiteRef.name ?? [],
      );
      return [
        { type: MODEL_DEPLOYMENT, name: spec.targetRef.name },
        ...[...new Set([...suites, ...proposals])].map((name) => ({ type: EVAL_SUITE, name })),
      ];
    },
    effects: {
      probe: probe(secrets),
      query: query(secrets),
      bundle: bundle({ blobs, reports }),
      compare: compare(blobs),
      alertmanager: alertmanager(secrets),
      webhook: webhook(secrets),
      prometheusRule: prometheusRule(client),
      pullRequest: pullRequest({ blobs, forgeOf }),
    },
  };
}
