import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  type LineCounter,
  Parser,
} from "yaml";

/** Something wrong in a YAML text, at an offset. */
export interface YamlFault {
  readonly offset: number;
  readonly message: string;
}

/**
 * Limits on what one file may make the parser do. The `yaml` package keeps a few hundred bytes and some
 * microseconds for each token, so that it is tokens, not bytes, that cost (measured: 1 MB of `]` takes 26 s and
 * 1.4 GB without a limit).
 */
export const YAML_LIMITS = {
  tokens: 100_000,
  documents: 1000,
  /** Resolving one looks through the document. */
  aliases: 1000,
  /** Levels of a value, with aliases followed. */
  depth: 100,
  /** Characters and nodes of one document's value, with aliases followed. */
  size: 2 << 20,
} as const;

/** Errors of one file that are shown; a file with more is not read to its end. */
const SHOWN_ERRORS = 10;

/**
 * Parses a stream of YAML 1.2 documents, with bounded work.
 * @param lines learns where lines start
 * @returns the documents, or one fault when the text is beyond a limit
 */
export function parseYaml(text: string, lines: LineCounter): readonly Document.Parsed[] | YamlFault {
  const lexer = new Lexer();
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({
    // The package's own check compares every key with every other; `keyFaults` does it with a set.
    uniqueKeys: false,
    // `!!timestamp`, `!!set` and the like make values that JSON has not.
    resolveKnownTags: false,
    strict: true,
    version: "1.2",
    merge: false,
  });
  const documents: Document.Parsed[] = [];
  lines.addNewLine(0);
  let tokens = 0;
  let broken = 0;
  for (const lexeme of lexer.lex(text)) {
    tokens += 1;
    if (tokens > YAML_LIMITS.tokens) {
      return {
        offset: parser.offset,
        message: `more than ${YAML_LIMITS.tokens} YAML tokens in one file: split it`,
      };
    }
    for (const token of parser.next(lexeme)) {
      if (token.type === "error") broken += 1;
      documents.push(...composer.next(token));
      if (documents.length > YAML_LIMITS.documents) {
        return {
          offset: parser.offset,
          message: `more than ${YAML_LIMITS.documents} documents in one file: split it`,
        };
      }
    }
    if (broken > SHOWN_ERRORS) break;
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end(false, text.length));
  return documents;
}

/** Whether a text has more tokens than a parser should be given. */
export function exceedsTokens(text: string): boolean {
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > YAML_LIMITS.tokens) return true;
  }
  return false;
}

/** Why a document is not YAML that has a meaning here. */
export function syntaxFaults(document: Document.Parsed): YamlFault[] {
  const faults: YamlFault[] = document.errors
    .slice(0, SHOWN_ERRORS)
    .map((error) => ({ offset: error.pos[0], message: `not valid YAML: ${errorText(error)}` }));
  for (const warning of document.warnings) {
    if (warning.code !== "TAG_RESOLVE_FAILED") continue;
    faults.push({
      offset: warning.pos[0],
      message: "not usable YAML: tags (!…) mean nothing here: remove it",
    });
  }
  return faults.slice(0, SHOWN_ERRORS);
}

function errorText(error: { code: string; message: string }): string {
  if (error.code === "RESOURCE_EXHAUSTION") return "nested too deeply";
  const line = error.message.split("\n")[0] ?? error.message;
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** Too many aliases, and keys that are not text, that stand twice in one map, or that mean something else elsewhere. */
export function keyFaults(document: Document.Parsed): YamlFault[] {
  const faults: YamlFault[] = [];
  const pending: unknown[] = [document.contents];
  let aliases = 0;
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (faults.length >= SHOWN_ERRORS) return faults;
    if (isAlias(node)) {
      aliases += 1;
      if (aliases <= YAML_LIMITS.aliases) continue;
      const message = `not usable YAML: more than ${YAML_LIMITS.aliases} aliases (*…) in one document`;
      return [...faults, { offset: node.range?.[0] ?? 0, message }];
    }
    if (isSeq(node)) pending.push(...node.items.toReversed().filter(isNode));
    if (!isMap(node)) continue;
    const seen = new Set<string>();
    const values: unknown[] = [];
    for (const { key, value } of node.items) {
      const offset = (isNode(key) ? key.range?.[0] : undefined) ?? node.range?.[0] ?? 0;
      const message = keyFault(key, seen);
      if (message !== undefined) faults.push({ offset, message: `not usable YAML: ${message}` });
      if (isNode(value)) values.push(value);
    }
    pending.push(...values.reverse());
  }
  return faults;
}

function keyFault(key: unknown, seen: Set<string>): string | undefined {
  if (!isScalar(key)) return "a key must be text";
  const name = String(key.value);
  const shown = JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
  if (seen.has(name)) return `the key ${shown} stands twice in one map: remove one of them`;
  seen.add(name);
  if (name === "__proto__") return `${shown} cannot be a key`;
  if (name === "<<" && key.type === "PLAIN") return "merge keys (<<) are not supported: write the fields out";
  return undefined;
}

/**
 * What makes a value unusable although its YAML is fine: numbers and text that JSON has not, and aliases that
 * make it endless or huge.
 */
export function valueFault(root: unknown): { path: PropertyKey[]; message: string } | undefined {
  interface Place {
    readonly value: unknown;
    readonly depth: number;
    readonly part: PropertyKey;
    readonly parent: Place | undefined;
  }
  const pathTo = (place: Place): PropertyKey[] => {
    const path: PropertyKey[] = [];
    for (let at: Place | undefined = place; at?.parent; at = at.parent) path.push(at.part);
    return path.reverse();
  };
  const pending: Place[] = [{ value: root, depth: 0, part: "", parent: undefined }];
  let size = 0;
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const { value, depth } = place;
    const fault = (message: string) => ({ path: pathTo(place), message });
    size += 1;
    if (typeof value === "string") {
      size += value.length;
      if (!value.isWellFormed()) return fault("has half of a surrogate pair, which is no character");
    } else if (typeof value === "number") {
      if (!Number.isFinite(value)) return fault(`is ${value}, which JSON has not: write a number or text`);
    } else if (typeof value === "object" && value !== null) {
      if (depth >= YAML_LIMITS.depth) return fault(`is nested more than ${YAML_LIMITS.depth} levels deep`);
      const members: [PropertyKey, unknown][] = Array.isArray(value)
        ? value.map((item, index) => [index, item])
        : Object.entries(value);
      for (const [part, member] of members.reverse()) {
        if (typeof part === "string") {
          size += part.length;
          if (!part.isWellFormed()) return fault("has a key with half of a surrogate pair");
        }
        pending.push({ value: member, depth: depth + 1, part, parent: place });
      }
    }
    if (size > YAML_LIMITS.size) return fault(`is larger than ${YAML_LIMITS.size} with its aliases followed`);
  }
  return undefined;
}
