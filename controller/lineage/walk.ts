import type { Flow, FlowType, LineageGraph, LineageNode } from "./lineage.ts";

export type Direction = "upstream" | "downstream";

/** A node as it stands in the tree of one direction. */
export interface Branch {
  readonly node: LineageNode;
  /** How it is bound to the node above. */
  readonly via: FlowType;
  /** Not shown further: it is among its own ancestors, was shown above, or is too far away. */
  readonly seen?: "cycle" | "above" | "deep";
  readonly branches: readonly Branch[];
}

export interface Lineage {
  readonly subject: LineageNode;
  readonly upstream: readonly Branch[];
  readonly downstream: readonly Branch[];
}

/**
 * What an object comes from and what comes of it. Each node is followed once in each direction, so the answer is no
 * larger than the graph, whatever cycles are in it.
 * @returns undefined when there is no such object
 */
export function lineageOf(graph: LineageGraph, key: string): Lineage | undefined {
  const subject = graph.nodes.get(key);
  if (!subject || subject.state === "Missing") return undefined;
  return {
    subject,
    upstream: walk(graph, key, "upstream"),
    downstream: walk(graph, key, "downstream"),
  };
}

function walk(graph: LineageGraph, start: string, direction: Direction): readonly Branch[] {
  const flowsAt = new Map<string, Flow[]>();
  for (const flow of graph.flows) {
    const at = direction === "upstream" ? flow.to : flow.from;
    const flows = flowsAt.get(at);
    if (flows) flows.push(flow);
    else flowsAt.set(at, [flow]);
  }
  const shown = new Set<string>([start]);
  const made = new Set(
    graph.flows
      .filter(({ type }) => type === "content" || type === "observes" || type === "ran")
      .map(({ to }) => to),
  );
  const repository = graph.flows.find(({ to, type }) => to === start && type === "applied")?.from;

  const path = new Set<string>();

  function branchesOf(key: string): readonly Branch[] {
    const found = new Map<string, FlowType>();
    for (const flow of flowsAt.get(key) ?? []) {
      const other = direction === "upstream" ? flow.from : flow.to;
      // The Repository of the whole chain is said once, at its start.
      if (flow.type === "applied" && direction === "upstream" && key !== start && other === repository)
        continue;
      const known = found.get(other);
      if (known === undefined || STRENGTH[flow.type] > STRENGTH[known]) found.set(other, flow.type);
    }
    const ordered = [...found].sort(([a, x], [b, y]) => STRENGTH[y] - STRENGTH[x] || (a < b ? -1 : 1));
    path.add(key);
    const branches = [...ordered.filter(startsHere), ...ordered.filter((each) => !startsHere(each))].flatMap(
      ([other, via]): Branch[] => branch(other, via),
    );
    path.delete(key);
    return branches;
  }

  /** What a Repository brings that is made from nothing else of it: the rest is found from there. */
  function startsHere([key, via]: readonly [string, FlowType]): boolean {
    return via !== "applied" || !made.has(key);
  }

  function branch(key: string, via: FlowType): Branch[] {
    const node = graph.nodes.get(key);
    if (!node) return [];
    if (path.has(key)) return [{ node, via, seen: "cycle", branches: [] }];
    // A gate decides about what it gates and is no part of it: said, not followed.
    if (via === "gate") return [{ node, via, branches: [] }];
    if (shown.has(key)) return via === "applied" ? [] : [{ node, via, seen: "above", branches: [] }];
    if (path.size >= MAX_DEPTH) return [{ node, via, seen: "deep", branches: [] }];
    shown.add(key);
    return [{ node, via, branches: branchesOf(key) }];
  }
  return branchesOf(start);
}

/** A chain that a person reads is short; one of thousands would not fit the stack. */
const MAX_DEPTH = 64;

/** What is said first, and what is said where two things are bound in several ways. */
const STRENGTH: Readonly<Record<FlowType, number>> = {
  applied: 7,
  content: 6,
  read: 5,
  ran: 4,
  observes: 3,
  left: 2,
  gate: 1,
};
