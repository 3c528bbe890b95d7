import { SlipwayError } from "../errors.ts";

/** A piece of a template: text as it is, or the place of a variable. */
export type TemplatePart =
  | { readonly text: string }
  | { readonly variable: string; readonly line: number; readonly column: number };

export interface Template {
  /** What the text is from, for errors: a file, or a field such as `messages[0].content`. */
  readonly origin: string;
  readonly parts: readonly TemplatePart[];
}

interface Source {
  readonly text: string;
  readonly origin: string;
  line: number;
  lineStart: number;
  /** Where the line ends. */
  newline: number;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;

/** What other template languages write inside braces, with what to do instead. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [
    /^[#/^]/,
    "sections, loops and conditions do not exist: write two prompts, or compute the text in the case",
  ],
  [/^[>!&]/, "partials, comments and unescaped tags do not exist: values are always put in as they are"],
  [/\|/, "filters do not exist: put the finished value into the case's variables"],
  [/\s/, "helpers and expressions do not exist: one variable name stands between the braces"],
];

/**
 * Parses `{{name}}` placeholders. `{{{{` writes a literal `{{`; a lone `}}` is text. There is nothing else in the
 * language, so that a template can be read, diffed and rendered without running anything.
 * @throws SlipwayError TemplateUnclosed, TemplateEmpty, TemplateUnsupported or TemplateBadName, with line and column
 */
export function parseTemplate(text: string, origin = "template"): Template {
  const parts: TemplatePart[] = [];
  const source: Source = { text, origin, line: 1, lineStart: 0, newline: nextNewline(text, 0) };
  let literal = "";
  let at = 0;
  for (;;) {
    const open = text.indexOf("{{", at);
    if (open < 0) break;
    literal += text.slice(at, open);
    advance(source, open);
    if (text.startsWith("{{{{", open)) {
      literal += "{{";
      at = open + 4;
      continue;
    }
    if (text[open + 2] === "{") {
      throw fault("TemplateUnsupported", "triple braces", source, open, {
        hint: "write {{name}}; for a brace beside a variable put a space between them: { {{name}} }",
      });
    }
    const variable = placeholder(source, open);
    if (literal !== "") parts.push({ text: literal });
    literal = "";
    parts.push({ variable: variable.name, line: source.line, column: open - source.lineStart + 1 });
    at = variable.end;
  }
  literal += text.slice(at);
  if (literal !== "") parts.push({ text: literal });
  return { origin, parts };
}

/** Names of the variables that a template uses, each once, in order of appearance. */
export function variablesOf(template: Template): string[] {
  return [...new Set(template.parts.flatMap((part) => ("variable" in part ? [part.variable] : [])))];
}

function placeholder(source: Source, open: number): { name: string; end: number } {
  const { text } = source;
  const close = text.indexOf("}}", open + 2);
  const next = text.indexOf("{{", open + 2);
  if (close < 0 || (next >= 0 && next < close)) {
    throw fault("TemplateUnclosed", "{{ is not closed", source, open, {
      hint: "close it with }}, or write {{{{ for a literal {{",
    });
  }
  const name = text.slice(open + 2, close).trim();
  if (name === "") {
    throw fault("TemplateEmpty", "{{}} names no variable", source, open, {
      hint: "write a variable's name between the braces",
    });
  }
  const foreign = FOREIGN.find(([pattern]) => pattern.test(name));
  if (foreign) {
    throw fault("TemplateUnsupported", `{{${short(name)}}} is not a variable`, source, open, {
      hint: foreign[1],
    });
  }
  if (!NAME.test(name)) {
    throw fault("TemplateBadName", `${JSON.stringify(short(name))} is not a variable name`, source, open, {
      hint: "a name starts with a letter or _ and goes on with letters, digits, _, . or -, at most 128 of them",
    });
  }
  return { name, end: close + 2 };
}

/** Goes forward to the line that holds `index`; the place is kept between calls, so a long text is read once. */
function advance(source: Source, index: number): void {
  while (source.newline < index) {
    source.line += 1;
    source.lineStart = source.newline + 1;
    source.newline = nextNewline(source.text, source.lineStart);
  }
}

function nextNewline(text: string, from: number): number {
  const index = text.indexOf("\n", from);
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

function fault(
  code: string,
  what: string,
  { origin, line, lineStart }: Source,
  index: number,
  details: { hint: string },
): SlipwayError {
  const column = index - lineStart + 1;
  return new SlipwayError(code, `${what} at line ${line}, column ${column}`, {
    ...details,
    location: { file: origin, line, column },
  });
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
