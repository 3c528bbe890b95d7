/** How a text is coloured; picocolors has this shape. */
export interface Colours {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly red: (text: string) => string;
}

export interface Cell {
  readonly text: string;
  readonly colour?: keyof Colours;
}

/** A line of a tree: its first cell is drawn behind the branches. */
export interface Row {
  readonly cells: readonly Cell[];
  readonly rows: readonly Row[];
}

/**
 * Lines of a tree with aligned columns. Widths are those of the text without colours, and nothing ends in blanks.
 * @param header names of the columns
 */
export function drawTree(header: readonly string[], roots: readonly Row[], colours: Colours): string {
  const lines: Line[] = [{ prefix: "", cells: header.map((text) => ({ text })) }];
  for (const root of roots) draw(root, "", "", lines);
  const widths = header.map((_, column) => Math.max(...lines.map((line) => widthAt(line, column))));
  return lines.map((line, i) => lineOf(line, widths, colours, i === 0)).join("");
}

interface Line {
  readonly prefix: string;
  readonly cells: readonly Cell[];
}

function draw(row: Row, prefix: string, below: string, lines: Line[]): void {
  lines.push({ prefix, cells: row.cells });
  row.rows.forEach((child, i) => {
    const last = i === row.rows.length - 1;
    draw(child, `${below}${last ? "└─" : "├─"}`, `${below}${last ? "  " : "│ "}`, lines);
  });
}

const widthAt = ({ prefix, cells }: Line, column: number): number =>
  (column === 0 ? prefix.length : 0) + (cells[column]?.text.length ?? 0);

function lineOf(line: Line, widths: readonly number[], colours: Colours, header: boolean): string {
  const { prefix, cells } = line;
  const lastColumn = cells.findLastIndex(({ text }) => text !== "");
  const texts = cells.slice(0, lastColumn + 1).map(({ text, colour }, column) => {
    const padding = column < lastColumn ? " ".repeat((widths[column] ?? 0) - widthAt(line, column)) : "";
    const shown = header ? colours.bold(text) : colour === undefined ? text : colours[colour](text);
    return `${column === 0 ? colours.dim(prefix) : ""}${shown}${padding}`;
  });
  return `${texts.join("  ")}\n`;
}
