import { isNode, isSeq, LineCounter, parseDocument } from "yaml";
import type { SourceLocation } from "../../errors.ts";
import { caseError, type RawCases } from "./raw-case.ts";

/** A YAML (or JSON) file that is a list of cases. */
export function readYaml(path: string, text: string): RawCases {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, stringKeys: true });
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
      errors: [caseError({ file: path, line: 1 }, "not a list of cases", "begin each case with `- id: …`")],
    };
  }
  let values: unknown;
  try {
    values = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { cases: [], errors: [caseError({ file: path, line: 1 }, (error as Error).message)] };
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
