import type { Dataset } from "../../../schemas/dataset.ts";
import type { SharedRef } from "../shared-with.ts";

/** Datasets that are followed at most: a longer chain counts as none that comes back. */
const MAX_STEPS = 1_000;

/**
 * The way on which a Dataset is made from itself, its own reference first; undefined where it is not. Each of its
 * Datasets would wait for the next for ever.
 * @param get the Dataset of a namespace and name, as the caches have it
 */
export function cycleOf(
  dataset: Dataset,
  get: (namespace: string, name: string) => Dataset | undefined,
): SharedRef[] | undefined {
  const { namespace: own = "", name } = dataset.metadata;
  const seen = new Set<string>();
  let ways: { at: Dataset; way: SharedRef[] }[] = [{ at: dataset, way: [] }];
  while (ways.length > 0 && seen.size < MAX_STEPS) {
    const next: typeof ways = [];
    for (const { at, way } of ways) {
      for (const { datasetRef } of at.spec.sources) {
        if (!datasetRef) continue;
        const namespace = datasetRef.namespace ?? at.metadata.namespace ?? "";
        const ref = { name: datasetRef.name, ...(namespace === own ? {} : { namespace }) };
        if (namespace === own && ref.name === name) return [...way, ref];
        const key = `${namespace}/${ref.name}`;
        const found = seen.has(key) ? undefined : get(namespace, ref.name);
        seen.add(key);
        if (found) next.push({ at: found, way: [...way, ref] });
      }
    }
    ways = next;
  }
  return undefined;
}

/** The cycle in words. Of other namespaces only what the Dataset itself names is told. */
export function cycleMessage(name: string, cycle: readonly SharedRef[]): string {
  const names = cycle.map((ref, i) => {
    if (ref.namespace === undefined) return ref.name;
    return i === 0 ? `${ref.namespace}/${ref.name}` : "one of another namespace";
  });
  return `Dataset ${name} is made from itself: ${[name, ...names].join(" from ")}; take one of these references out`;
}
