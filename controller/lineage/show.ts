import type { LineageNode } from "./lineage.ts";
import { printable } from "./listed.ts";
import { type Cell, type Colours, drawTree, type Row } from "./table.ts";
import type { Branch, Lineage } from "./walk.ts";

/** The lineage for a terminal: the object, then what it is made from, then what comes of it. */
export function lineageTree({ subject, upstream, downstream }: Lineage, colours: Colours): string {
  const section = (name: string, branches: readonly Branch[]): Row => ({
    cells: [{ text: name, colour: "dim" }],
    rows:
      branches.length > 0 ? branches.map(rowOf) : [{ cells: [{ text: "nothing", colour: "dim" }], rows: [] }],
  });
  const root = {
    cells: cellsOf(subject, ""),
    rows: [section("comes from", upstream), section("leads to", downstream)],
  };
  return drawTree(["NAME", "VIA", "STATE", "REVISION", "FACTS"], [root], colours);
}

const rowOf = (branch: Branch): Row => ({
  cells:
    branch.seen === undefined
      ? cellsOf(branch.node, branch.via)
      : [{ text: nameOf(branch.node) }, { text: branch.via }, { text: SEEN[branch.seen], colour: "dim" }],
  rows: branch.branches.map(rowOf),
});

const nameOf = ({ kind, name }: LineageNode) => printable(`${kind}/${name}`);

const SEEN = { above: "(see above)", cycle: "(cycle)", deep: "(more)" } as const;

function cellsOf(node: LineageNode, via: string): Cell[] {
  return [
    { text: nameOf(node) },
    { text: via, colour: "dim" },
    stateCell(node),
    { text: node.revision ?? "" },
    { text: node.facts.join(", ") },
  ];
}

function stateCell({ state, reason }: LineageNode): Cell {
  switch (state) {
    case "Ready":
      return { text: "Ready", colour: "green" };
    case "NotReady":
      return { text: `NotReady (${reason})`, colour: "yellow" };
    case "Outside":
      return { text: "" };
    default:
      return { text: state, colour: "red" };
  }
}

/** The lineage as data: every node once, and the flows between them. */
export function lineageData(lineage: Lineage): {
  subject: string;
  nodes: (LineageNode & { direction: "subject" | "upstream" | "downstream" })[];
  edges: { from: string; to: string; type: string }[];
} {
  const { subject } = lineage;
  const nodes = new Map([
    [subject.key, { ...subject, direction: "subject" as "subject" | "upstream" | "downstream" }],
  ]);
  const edges = new Map<string, { from: string; to: string; type: string }>();
  for (const direction of ["upstream", "downstream"] as const) {
    const visit = (above: string, branches: readonly Branch[]) => {
      for (const { node, via, branches: next } of branches) {
        if (!nodes.has(node.key)) nodes.set(node.key, { ...node, direction });
        const [from, to] = direction === "upstream" ? [node.key, above] : [above, node.key];
        edges.set(JSON.stringify([from, to, via]), { from, to, type: via });
        visit(node.key, next);
      }
    };
    visit(subject.key, lineage[direction]);
  }
  return { subject: subject.key, nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** The lineage as a Mermaid flowchart, which forges draw in Markdown. */
export function lineageMermaid(lineage: Lineage): string {
  const { subject, nodes, edges } = lineageData(lineage);
  const ids = new Map(nodes.map(({ key }, i) => [key, `n${i}`]));
  const lines = nodes.map((node) => {
    const state =
      node.state === "Outside" ? "" : node.state === "NotReady" ? `NotReady: ${node.reason}` : node.state;
    const label = [`${node.kind} ${node.name}`, state, ...node.facts]
      .filter((text) => text !== "")
      .map(escaped);
    const css = node.key === subject ? "subject" : node.state.toLowerCase();
    return `  ${ids.get(node.key)}["${label.join("<br>")}"]:::${css}`;
  });
  return [
    "flowchart LR",
    ...lines,
    ...edges.map(
      ({ from, to, type }) =>
        `  ${ids.get(from)} ${type === "gate" ? "-.->" : "-->"}|${type}| ${ids.get(to)}`,
    ),
    "  classDef subject stroke-width:3px",
    "  classDef missing stroke:#c00,stroke-dasharray:4",
    "  classDef invalid stroke:#c00",
    "  classDef notready stroke:#c80",
    "",
  ].join("\n");
}

/** As Mermaid's entities: names of files and addresses come from whoever wrote them. */
const escaped = (text: string): string =>
  text.replace(/[^\p{L}\p{N} .:/@,()+=_-]/gu, (character) => `#${character.codePointAt(0)};`);
