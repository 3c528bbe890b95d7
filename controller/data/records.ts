import { isUtf8 } from "node:buffer";
import type { Block } from "./block.ts";
import type { FlatReader } from "./flat.ts";

const NEWLINE = 0x0a;

/** Is told of each record: its value, or why it has none. */
export type Visit = (number: number, value: unknown, problem?: string) => void;

/** Calls `visit` with each record of a block. */
export function eachRecord(block: Block, visit: Visit): void {
  const { lines, problems } = block;
  const buffer = bufferOf(lines);
  // One text for all lines is much faster than one for each; a block with a bad byte is decoded line by line.
  const whole = isUtf8(lines) ? buffer.toString("utf8") : undefined;
  const source = whole ?? buffer.toString("latin1");
  let index = 0;
  for (let start = 0; start < source.length; index++) {
    const found = source.indexOf("\n", start);
    const end = found < 0 ? source.length : found;
    const raw = source.slice(start, end);
    start = end + 1;
    const number = numberOf(block, index);
    const problem = problems?.get(index);
    if (problem !== undefined) visit(number, undefined, problem);
    else visitLine(number, whole === undefined ? decoded(Buffer.from(raw, "latin1")) : raw, visit);
  }
}

/** The same, but that lines which `flat` can read are left to it, and to `visitFlat` right after. */
export function eachFlatRecord(
  block: Block,
  flat: FlatReader,
  visitFlat: (number: number) => void,
  visit: Visit,
): void {
  const buffer = bufferOf(block.lines);
  let index = 0;
  for (let start = 0; start < buffer.byteLength; index++) {
    const number = numberOf(block, index);
    const flatEnd = flat.read(start);
    if (flatEnd >= 0) {
      visitFlat(number);
      start = flatEnd + 1;
      continue;
    }
    const found = buffer.indexOf(NEWLINE, start);
    const end = found < 0 ? buffer.byteLength : found;
    const problem = block.problems?.get(index);
    if (problem !== undefined) visit(number, undefined, problem);
    else visitLine(number, decoded(buffer.subarray(start, end)), visit);
    start = end + 1;
  }
}

const bufferOf = (lines: Uint8Array) => Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);

const numberOf = ({ numbers, first }: Block, index: number) => (numbers ? numbers[index]! : first + index);

const decoded = (bytes: Buffer) => (isUtf8(bytes) ? bytes.toString("utf8") : undefined);

function visitLine(number: number, text: string | undefined, visit: Visit): void {
  if (text === undefined) {
    visit(number, undefined, "the line is not UTF-8");
    return;
  }
  if (text.length === 0 || (text.charCodeAt(0) <= 32 && text.trim() === "")) return;
  let value: unknown;
  try {
    // A byte order mark is no part of the first line.
    value = JSON.parse(number === 1 && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch {
    visit(number, undefined, "the line is not JSON");
    return;
  }
  visit(number, value);
}
