/*
 * Everything that a model, a case or a pull request's author wrote is hostile: in a comment it could mention
 * people, close issues, fetch images that track readers, break out of a table, or hide text.
 */

/** Control characters, escape codes' first byte among them, and characters that change the direction of text. */
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "|": "&#124;",
  "`": "&#96;",
  "*": "&#42;",
  _: "&#95;",
  "~": "&#126;",
  "[": "&#91;",
  "]": "&#93;",
  "\\": "&#92;",
  "!": "&#33;",
  $: "&#36;",
};

/** Cuts by characters, with an ellipsis. */
export function cut(text: string, limit: number): string {
  const characters = [...text];
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

/**
 * Text for any place in a comment: no markup, mention, issue reference or link comes out of it. Line breaks are
 * shown as ⏎. A zero-width space stands after `@` and `#` and inside `://`, because forges look for these in the
 * text that is left after entities are decoded.
 */
export function plain(text: string, limit = 200): string {
  return cut(text.replace(/\r?\n/g, "⏎").replace(INVISIBLE, ""), limit)
    .replace(/[&<>"|`*_~[\]\\!$]/g, (character) => ENTITIES[character] ?? character)
    .replace(/[@#]/g, "$&\u200B")
    .replace(/:\/\//g, ":\u200B//")
    .replace(/\bwww\./gi, "www\u200B.");
}

/** `plain` in a code span, where forges look for no mentions at all. */
export function code(text: string, limit = 200): string {
  const shown = plain(text, limit);
  return `<code>${shown === "" ? " " : shown}</code>`;
}
