import { count } from "../format.ts";

/** A column's title, and `>` where its cells are numbers. */
export type Column = string | readonly [title: string, align: ">"];

/** A table; cells must be one line and escaped. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titles = columns.map((column) => (typeof column === "string" ? column : column[0]));
  const rules = columns.map((column) => (typeof column === "string" ? ":--" : "--:"));
  return [titles, rules, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Folded away until somebody opens it. The empty lines make forges read Markdown inside. */
export function details(summary: string, body: string): string {
  return body === "" ? "" : `<details>\n<summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** A GitHub alert; Gitea shows the same. */
export function alert(
  kind: "NOTE" | "TIP" | "IMPORTANT" | "WARNING" | "CAUTION",
  lines: readonly string[],
): string {
  const [only, ...others] = lines;
  const body = others.length === 0 ? [only ?? ""] : lines.map((line) => `- ${line}`);
  return [`[!${kind}]`, ...body].map((line) => `> ${line}`).join("\n");
}

/** Parts with an empty line between them; empty ones are left out. */
export function paragraphs(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== "").join("\n\n");
}

/** Rows that everybody sees, the next ones folded, and the number of what is left out. */
export function foldedTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  size: { readonly open: number; readonly folded: number },
  noun: string,
  what = "",
): string {
  const open = rows.slice(0, size.open);
  const folded = rows.slice(size.open, size.open + size.folded);
  const left = rows.length - open.length - folded.length;
  const unseen = left > 0 ? `_${count(left, `more ${noun}`)}${what}: not shown here._` : "";
  return paragraphs(
    open.length > 0 ? table(columns, open) : "",
    folded.length > 0
      ? details(
          `${count(folded.length + left, `more ${noun}`)}${what}`,
          paragraphs(table(columns, folded), unseen),
        )
      : unseen,
  );
}
