import { digestOf } from "../graph/canonical.ts";
import type { SideBundle } from "./bundle.ts";

/** Digest over a side's prompt and deployment revisions; equal to the graph's `sideRevision` of the same targets. */
export function sideRevisionOf(side: SideBundle): string {
  return digestOf(
    Object.fromEntries(
      side.targets.map(({ name, prompt, model }) => [name, [prompt.revision, model.revision]]),
    ),
  );
}
