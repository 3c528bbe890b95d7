import type { Written } from "./proxy.ts";

/**
 * Writes to the forge that said the same as the one before them about the same thing: a comment's text, or a commit's
 * status in a context.
 */
export function doubledWrites(writes: readonly Written[]): string[] {
  const said = new Map<string, string>();
  const doubled: string[] = [];
  for (const write of writes) {
    if (write.status >= 300) continue;
    const { about, text } = contentOf(write);
    if (said.get(about) === text) doubled.push(`${write.site} ${about}: ${text.slice(0, 200)}`);
    said.set(about, text);
  }
  return doubled;
}

function contentOf({ site, path, body, answer }: Written): { about: string; text: string } {
  const sent = body === "" ? {} : (JSON.parse(body) as Record<string, unknown>);
  if (site === "forge create comment" || site === "forge update comment") {
    // A comment is made on an issue and changed by its own id: the answer names both.
    const { issue_url: issue } = JSON.parse(answer) as { issue_url: string };
    return { about: `comment on ${issue}`, text: String(sent.body) };
  }
  if (site === "forge set status") {
    return {
      about: `${path} ${String(sent.context)}`,
      text: `${String(sent.state)} ${String(sent.description)}`,
    };
  }
  return { about: `${site} ${path}`, text: body };
}
