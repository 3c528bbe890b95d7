import { kindNamed } from "../../schemas/index.ts";
import { childReadiness } from "./children.ts";
import { type Listed, type Readiness, readinessOf, short } from "./listed.ts";
import { type Colours, drawTree, type Row } from "./table.ts";

/** An object with what it owns. */
export interface Owned extends Readiness {
  readonly kind: string;
  readonly name: string;
  readonly revision?: string;
  /** Seconds since it was made. */
  readonly age?: number;
  readonly children: readonly Owned[];
}

/**
 * Every object of Slipway's with its children by ownerReferences, as `kubectl tree` shows them. Owners that are not
 * listed, and cycles of owners, hide nothing of Slipway's: it is shown at the top.
 * @param now milliseconds since the epoch
 */
export function ownershipOf(objects: readonly Listed[], now: number): Owned[] {
  const listed = new Set(objects.map(({ metadata }) => metadata.uid));
  const children = new Map<string, Listed[]>();
  for (const object of objects) {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      if (listed.has(uid)) children.set(uid, [...(children.get(uid) ?? []), object]);
    }
  }
  const shown = new Set<Listed>();
  const owned = (object: Listed): Owned => {
    shown.add(object);
    const below = (children.get(object.metadata.uid ?? "") ?? []).filter((child) => !shown.has(child));
    return { ...said(object, now), children: sorted(below).map(owned) };
  };
  const ours = sorted(objects.filter(({ kind }) => kindNamed(kind) !== undefined));
  const isTop = ({ metadata }: Listed) => !metadata.ownerReferences?.some(({ uid }) => listed.has(uid));
  const tops = ours.filter(isTop).map(owned);
  // What is left is owned in a circle.
  return [...tops, ...ours.flatMap((object) => (shown.has(object) ? [] : [owned(object)]))];
}

function said(object: Listed, now: number): Omit<Owned, "children"> {
  const { kind, metadata, status } = object;
  const { shortRevision } = (status ?? {}) as { shortRevision?: unknown };
  const made = Date.parse(metadata.creationTimestamp ?? "");
  return {
    kind,
    name: metadata.name,
    ...(kindNamed(kind) ? readinessOf(object) : childReadiness(object)),
    ...(typeof shortRevision === "string" ? { revision: short(shortRevision) } : {}),
    ...(Number.isNaN(made) ? {} : { age: Math.max(0, Math.floor((now - made) / 1000)) }),
  };
}

const ORDER = [
  "Repository",
  "Dataset",
  "PromptTemplate",
  "FineTuneJob",
  "ModelDeployment",
  "EvalSuite",
  "EvalRun",
];

/** In the order of the chain, then by name. */
function sorted(objects: readonly Listed[]): Listed[] {
  const rank = ({ kind }: Listed) => {
    const at = ORDER.indexOf(kind);
    return at < 0 ? ORDER.length : at;
  };
  const name = ({ kind, metadata }: Listed) => `${kind}/${metadata.name}`;
  return [...objects].sort((a, b) => rank(a) - rank(b) || (name(a) < name(b) ? -1 : 1));
}

/** The tree for a terminal. */
export function ownershipTree(roots: readonly Owned[], colours: Colours): string {
  const row = (object: Owned): Row => ({
    cells: [
      { text: `${object.kind}/${object.name}` },
      { text: object.ready, ...colourOf(object.ready) },
      { text: object.reason },
      { text: object.revision ?? "" },
      { text: object.age === undefined ? "" : ageText(object.age) },
    ],
    rows: object.children.map(row),
  });
  return drawTree(["NAME", "READY", "REASON", "REVISION", "AGE"], roots.map(row), colours);
}

function colourOf(ready: string): { colour?: keyof Colours } {
  const [up, wanted] = ready.split("/");
  if (ready === "" || ready === "0/0") return {};
  if (ready === "True" || (wanted !== undefined && up === wanted)) return { colour: "green" };
  return { colour: ready === "False" ? "red" : "yellow" };
}

/** As kubectl writes ages, in its largest unit. */
export function ageText(seconds: number): string {
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 3 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
