import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { SourceLocation } from "../../errors.ts";
import { caseError, type RawCases, tooMany } from "./raw-case.ts";

/** A YAML (or JSON) file that is a list of cases. */
export function readYaml(path: string, text: string, maxCases: number): RawCases {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, stringKeys: true, uniqueKeys: false });
  const at = (offset: number): SourceLocation => {
    const { line, col } = lines.linePos(offset);
    return { file: path, line, column: col };
  };
  if (document.errors.length > 0) {
    // The parser appends the place and an excerpt; the place is in the location.
    return {
      cases: [],
      errors: document.errors.map(({ pos, message }) =>
        caseError(at(pos[0]), message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "")),
      ),
    };
  }
  const { contents } = document;
  if (!isSeq(contents)) {
    return {
      cases: [],
      errors: [caseError(at(offsetOf(contents)), "not a list of cases", "begin each case with `- id: …`")],
    };
  }
  if (contents.items.length > maxCases) return { cases: [], errors: [tooMany(path)] };
  const twice = repeatedKey(document);
  if (twice) {
    const message = `the key ${JSON.stringify(twice.name.slice(0, 64))} stands twice in one map`;
    return { cases: [], errors: [caseError(at(twice.offset), message, "remove one of them")] };
  }
  let values: unknown;
  try {
    values = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { cases: [], errors: [caseError(at(offsetOf(contents)), (error as Error).message)] };
  }
  const cases = (values as unknown[]).map((value, index) => {
    const location = at(offsetOf(contents.items[index]));
    const locate = (members: readonly PropertyKey[]): SourceLocation => {
      for (let length = members.length; length > 0; length--) {
        const node = document.getIn([index, ...members.slice(0, length)], true);
        if (isNode(node) && node.range) return at(node.range[0]);
      }
      return location;
    };
    return { value, location, locate };
  });
  return { cases, errors: [] };
}

function offsetOf(node: unknown): number {
  return isNode(node) && node.range ? node.range[0] : 0;
}

/** The parser's own check compares each key with each before it. */
function repeatedKey(document: Document): { name: string; offset: number } | undefined {
  let found: { name: string; offset: number } | undefined;
  visit(document, {
    Map(_, map) {
      if (!isMap(map)) return undefined;
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) {
          found = { name, offset: offsetOf(key) };
          return visit.BREAK;
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return found;
}
