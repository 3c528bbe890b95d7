const ENTITIES: Readonly<Record<string, string>> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&" };

/** A comment as a terminal can show it: markup and entities taken away, tables aligned. */
export function terminalReport(body: string, width: number): string {
  const lines = body
    .replace(/<!--.*?-->\n?/gs, "")
    .replace(/<br\s*\/?>/g, " · ")
    .replace(/<\/?(code|sub|sup|details|summary|b)\s*>/g, "")
    .replace(/[\u200B]/g, "")
    .replace(/\*\*/g, "")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&(lt|gt|quot|amp);/g, (entity) => ENTITIES[entity] ?? entity)
    // Escape codes could come as character references.
    .replace(/[^\P{Cc}\n]/gu, "")
    .split("\n");
  const out: string[] = [];
  let table: string[][] = [];
  const flush = () => {
    if (table.length > 0) out.push(...align(table, width));
    table = [];
  };
  for (const line of lines) {
    if (line.startsWith("|")) {
      const cells = line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
      if (!cells.every((cell) => /^:?-+:?$/.test(cell))) table.push(cells);
      continue;
    }
    flush();
    if (/^> \[!/.test(line)) continue;
    out.push(line.trimEnd());
  }
  flush();
  return out
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function align(rows: readonly string[][], width: number): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  const limit = Math.max(12, Math.floor(width / columns));
  const shown = rows.map((row) =>
    row.map((cell) => (cell.length > limit ? `${cell.slice(0, limit - 1)}…` : cell)),
  );
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...shown.map((row) => row[i]?.length ?? 0)),
  );
  return shown.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
