import { durationMs } from "../../../../schemas/common.ts";
import type { ModelDeployment } from "../../../../schemas/model-deployment.ts";
import type { Monitor, MonitorStatus } from "../../../../schemas/monitor.ts";
import { timestamp } from "../../../runtime/status.ts";

type Served = NonNullable<MonitorStatus["served"]>;

/** Limit of the schema. */
const MAX_SERVED = 8;

/**
 * The revisions whose figures are the target's: the one that has the traffic, and those which had it within a signal's
 * window. Without these every switch would look like a model that answers nothing. One that comes up or was stopped
 * answers evaluations alone, and does not count.
 */
export function servedRevisions(monitor: Monitor, { status = {} }: ModelDeployment): readonly string[] {
  const { active, rollout } = status;
  if (active === undefined) return [];
  const former = (monitor.status?.served ?? []).map(({ revision }) => revision);
  return [...new Set([active, ...former])].filter(
    (revision) => revision === active || revision !== rollout?.revision,
  );
}

/** What the status remembers for `servedRevisions`: the same revisions as before it is written, until one is too old. */
export function servedStatus(
  monitor: Monitor,
  { status = {} }: ModelDeployment,
  now: Date,
): Pick<MonitorStatus, "served"> {
  const { active } = status;
  const windows = monitor.spec.signals.flatMap(({ prometheus }) =>
    prometheus?.metric === undefined ? [] : durationMs(prometheus.window),
  );
  if (active === undefined || windows.length === 0 || monitor.spec.prometheus?.matchLabels) return {};
  const before = monitor.status?.served ?? [];
  const served: Served =
    before[0]?.revision === active
      ? before
      : [
          { revision: active, since: timestamp(now) },
          ...before.filter(({ revision }) => revision !== active),
        ];
  // It had the traffic until the one before it in the list got it.
  const oldest = now.getTime() - Math.max(...windows);
  const counting = served.filter((_, index) => index === 0 || Date.parse(served[index - 1]!.since) > oldest);
  return { served: counting.slice(0, MAX_SERVED) };
}
