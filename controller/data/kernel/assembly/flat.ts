import { holdBytes } from "./memory";

/*
 * Lines of a block that are objects of texts in ASCII. The host writes names to `names` and a block to `block`, and
 * finds the texts of the line that was read last at `found`.
 */

const QUOTE: u32 = 0x22;
const BACKSLASH: u32 = 0x5c;
const BLANK: u32 = 0x20;
const NEWLINE: u32 = 0x0a;

/** Fields that a line may have, and bytes of the longest name. */
const FIELDS: usize = 4;
const NAME_BYTES: usize = 16;
/** For each field its name, one every 16 bytes, then the length of each name in 4. */
export const names: usize = memory.data(4 * 16 + 4 * 4);
/** Where the text of each field starts, where each ends, and whether one of them has a backslash. */
export const found: usize = memory.data((2 * 4 + 1) * 4);
const ESCAPES: usize = found + 2 * FIELDS * 4;

/** What JSON.stringify writes behind a backslash, but for numbers of characters. */
const ESCAPED: usize = memory.data(128);
store<u8>(ESCAPED + 0x22, 1);
store<u8>(ESCAPED + 0x5c, 1);
store<u8>(ESCAPED + 0x62, 1);
store<u8>(ESCAPED + 0x66, 1);
store<u8>(ESCAPED + 0x6e, 1);
store<u8>(ESCAPED + 0x72, 1);
store<u8>(ESCAPED + 0x74, 1);

export let block: usize = 0;
let blockEnd: usize = 0;

/** Makes room for a block of so many bytes; what was held before is lost. */
export function hold(bytes: u32): void {
  block = holdBytes(bytes);
  blockEnd = block + bytes;
}

/** @returns where the line ends that starts there, or -1 when it may be no object of these fields and of texts */
export function flatLine(start: u32, fields: u32): i32 {
  let at = block + start;
  let seen: u32 = 0;
  store<u32>(ESCAPES, 0);
  if (<u32>load<u8>(at) !== 0x7b) return -1;
  for (at++; ; at++) {
    at = afterBlanks(at);
    const name = at + 1;
    if (<u32>load<u8>(at) !== QUOTE) return -1;
    at = endOf(name);
    if (at === 0 || <u32>load<u8>(at + 1) !== 0x3a) return -1;
    const field = fieldAt(name, at, fields);
    at = afterBlanks(at + 2);
    const text = at + 1;
    if (<u32>load<u8>(at) !== QUOTE) return -1;
    at = endOf(text);
    if (at === 0) return -1;
    if (field < fields) {
      store<u32>(found + ((<usize>field) << 2), <u32>text);
      store<u32>(found + ((FIELDS + <usize>field) << 2), <u32>at);
      seen |= 1 << field;
    }
    at = afterBlanks(at + 1);
    if (<u32>load<u8>(at) === 0x2c) continue;
    const last = at + 1 === blockEnd || <u32>load<u8>(at + 1) === NEWLINE;
    const whole = <u32>load<u8>(at) === 0x7d && last && seen === (1 << fields) - 1;
    return whole ? <i32>(at + 1 - block) : -1;
  }
}

function afterBlanks(start: usize): usize {
  let at = start;
  while (<u32>load<u8>(at) === BLANK) at++;
  return at;
}

/** Where the text ends that starts there; 0 where JSON.parse has to say. Zeros behind the block end every text. */
function endOf(start: usize): usize {
  let at = start;
  while (true) {
    const bytes = v128.load(at);
    const marks = v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c)));
    // As signed numbers the bytes beyond ASCII are less than those of control characters.
    const others = v128.or(i8x16.lt_s(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x7f)));
    const stops = i8x16.bitmask(v128.or(marks, others));
    if (stops === 0) {
      at += 16;
      continue;
    }
    at += ctz(stops);
    const byte = <u32>load<u8>(at);
    if (byte === QUOTE) return at;
    if (byte !== BACKSLASH) return 0;
    const escaped = <u32>load<u8>(at + 1);
    if (escaped >= 128 || load<u8>(ESCAPED + <usize>escaped) === 0) return 0;
    store<u32>(ESCAPES, 1);
    at += 2;
  }
}

/** Which field has this name; as many as there are for none. */
function fieldAt(start: usize, end: usize, fields: u32): u32 {
  const length = <u32>(end - start);
  for (let field: u32 = 0; field < fields; field++) {
    if (load<u32>(names + FIELDS * NAME_BYTES + ((<usize>field) << 2)) !== length) continue;
    const name = names + <usize>field * NAME_BYTES;
    let same: usize = 0;
    while (same < <usize>length && load<u8>(start + same) === load<u8>(name + same)) same++;
    if (same === <usize>length) return field;
  }
  return fields;
}
