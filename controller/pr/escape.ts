/*
 * Everything that a model, a case or a pull request's author wrote is hostile: in a comment it could mention
 * people, refer to issues, fetch images that track readers, break out of a table, hide text, or start a line
 * with a command that we obey when somebody with write access says it, which we are.
 *
 * Forges read a comment twice: as Markdown, and again as the text that is left once entities are decoded
 * (mentions, references, addresses, emoji, formulas). Entities stop the first reading, a zero-width space within
 * stops the second.
 */

const LINE_BREAK = /\r\n|[\r\n\v\f\p{Zl}\p{Zp}]/gu;
/** Characters without a shape of their own: zero-width, direction, variation, tags, fillers. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u2800]/gu;
/** More marks on one letter than any language uses cover the lines around it. */
const STACKED_MARKS = /(\p{M}{3})\p{M}+/gu;
/** Escape codes begin with such a character; its picture stays, so that nothing seems equal that is not. */
const CONTROL = /[\p{Cc}]/gu;
const BREAK = "\u200B";

/** Whatever a forge makes a link, a mention, a reference or an emoji of, with the place to break it. */
const REFERENCES: readonly [pattern: RegExp, replacement: string][] = [
  [/[@#]/g, `$&${BREAK}`],
  // Gitea's !123
  [/!(?=\d)/g, `!${BREAK}`],
  // GH-123 and issue trackers' KEY-123
  [/(?:[Gg][Hh]|[A-Z])-(?=\d)/g, `$&${BREAK}`],
  [/:(?=\/\/)/g, `:${BREAK}`],
  [/www(?=\.)/gi, `$&${BREAK}`],
];
/** What forges leave alone in code, where it stays whole to be copied: commits (seven digits or more), :emoji:. */
const OUTSIDE_CODE: typeof REFERENCES = [
  [/[0-9a-f]{6}(?=[0-9a-f])/gi, `$&${BREAK}`],
  [/:(?=[\w+-]+:)/g, `:${BREAK}`],
];

/** Everything of ASCII that means something to Markdown, HTML or a formula, at any place or at a line's start. */
const SPECIAL = /[&<>|`*_~[\]\\!$]|^[-+=\d]/g;

const entity = (character: string) => `&#${character.charCodeAt(0)};`;

/** Cuts by characters, with an ellipsis. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const characters = [...text.slice(0, 2 * limit + 2)];
  return characters.length <= limit ? characters.join("") : `${characters.slice(0, limit - 1).join("")}…`;
}

/** One line of visible, well-formed text; the form for a commit status, which forges show as it is. */
export function oneLine(text: string, limit = 200): string {
  return cut(
    text
      .toWellFormed()
      .replace(LINE_BREAK, "⏎")
      .replace(/\t/g, " ")
      .replace(CONTROL, picture)
      .replace(INVISIBLE, "")
      .replace(STACKED_MARKS, "$1")
      .trim(),
    limit,
  );
}

/** `␛` for ESC; controls above ASCII have no picture. */
function picture(control: string): string {
  const at = control.charCodeAt(0);
  return at < 0x20 ? String.fromCharCode(0x2400 + at) : at === 0x7f ? "␡" : "�";
}

/**
 * Text for any place in a comment: no markup, mention, reference or link comes out of it, and it stays on its
 * line. Line breaks are shown as ⏎.
 */
export function plain(text: string, limit = 200): string {
  return entities(broken(oneLine(text, limit), [...REFERENCES, ...OUTSIDE_CODE]));
}

/** `plain` in the type of code, whole enough to be copied where nothing is in it that a forge would link. */
export function code(text: string, limit = 200): string {
  const shown = entities(broken(oneLine(text, limit), REFERENCES));
  return `<code>${shown === "" ? " " : shown}</code>`;
}

function broken(text: string, patterns: typeof REFERENCES): string {
  return patterns.reduce((shown, [pattern, replacement]) => shown.replace(pattern, replacement), text);
}

/** GitHub's own way to keep a dollar sign from starting a formula is an element around it. */
const entities = (text: string) =>
  text.replace(SPECIAL, (character) =>
    character === "$" ? `<span>${entity(character)}</span>` : entity(character),
  );
