import { mix } from "./hash";
import { BANDS, bands, shingles } from "./memory";

const ROWS: usize = 5;
const SLOTS: u32 = 128;
const USED: u32 = 125;
const EMPTY: u32 = 0xffffffff;
/** Above the values of all rounds. */
const FALLBACK: u32 = 0x80000000;

const MINIMA: usize = memory.data(128 * 4, 16);

/** Slots that are empty, and room for four more. */
const EMPTIES: usize = memory.data((128 + 4) * 4, 16);

/** An odd multiplier for each slot, from one fixed sequence: the same rows are found on every machine. */
const MULTIPLIERS: usize = memory.data(128 * 4, 16);
for (let slot: u32 = 0, seed: u32 = 1; slot < SLOTS; slot++) {
  seed = mix(seed + 0x9e3779b9);
  store<u32>(MULTIPLIERS + ((<usize>slot) << 2), seed | 1);
}

/**
 * The keys of the bands of so many shingles, one at least. A slot's minimum is that of the first of three rounds in
 * which a shingle fell into it, or of a permutation of its own where none did.
 */
export function sketch(count: u32): void {
  const end = shingles + ((<usize>count) << 2);
  for (let slot: u32 = 0; slot < SLOTS; slot += 4) v128.store(slotAt(slot), i32x4.splat(-1));
  for (let at = shingles; at < end; at += 4) {
    // One hash serves all rounds: 7 bits for the slot, 14 for the value, three times.
    const hash = mix64(load<u32>(at));
    put(<u32>(hash >>> 57), <u32>(hash >>> 43) & 0x3fff);
    put(<u32>(hash >>> 36) & 0x7f, (<u32>(hash >>> 22) & 0x3fff) | 0x4000);
    put(<u32>(hash >>> 15) & 0x7f, (<u32>(hash >>> 1) & 0x3fff) | 0x8000);
  }
  // The last vector is filled up with what changes no minimum.
  v128.store(end, i32x4.splat(load<i32>(end - 4)));
  fill(end);
  for (let band: usize = 0; band < BANDS; band++) {
    let key = <u32>band;
    for (let row: usize = 0; row < ROWS; row++)
      key = key * 0x9e3779b1 + load<u32>(MINIMA + ((band * ROWS + row) << 2));
    store<u32>(bands + (band << 2), mix(key));
  }
}

function slotAt(slot: u32): usize {
  return MINIMA + ((<usize>slot) << 2);
}

function put(slot: u32, value: u32): void {
  const known = load<u32>(slotAt(slot));
  // No branch: the processor could not foretell it.
  store<u32>(slotAt(slot), select<u32>(value, known, value < known));
}

/** Gives each slot that is empty the least hash of all shingles under a permutation of its own. */
function fill(end: usize): void {
  let count: usize = 0;
  for (let slot: u32 = 0; slot < USED; slot++) {
    store<u32>(EMPTIES + (count << 2), slot);
    // No branch here either.
    count += <usize>(load<u32>(slotAt(slot)) === EMPTY);
  }
  if (count === 0) return;
  // Four at a time: the last ones perhaps twice.
  v128.store(EMPTIES + (count << 2), i32x4.splat(load<i32>(EMPTIES + ((count - 1) << 2))));
  for (let i: usize = 0; i < count; i += 4) fillFour(EMPTIES + (i << 2), end);
}

function fillFour(slots: usize, end: usize): void {
  const slotA = load<u32>(slots);
  const slotB = load<u32>(slots, 4);
  const slotC = load<u32>(slots, 8);
  const slotD = load<u32>(slots, 12);
  const byA = multiplier(slotA);
  const byB = multiplier(slotB);
  const byC = multiplier(slotC);
  const byD = multiplier(slotD);
  let a = i32x4.splat(-1);
  let b = a;
  let c = a;
  let d = a;
  // Shingles are mixed well already: to multiply is enough for a permutation, as datasketch 2 has it.
  for (let at = shingles; at < end; at += 16) {
    const values = v128.load(at);
    a = i32x4.min_u(a, i32x4.mul(values, byA));
    b = i32x4.min_u(b, i32x4.mul(values, byB));
    c = i32x4.min_u(c, i32x4.mul(values, byC));
    d = i32x4.min_u(d, i32x4.mul(values, byD));
  }
  // The least of each, side by side.
  const ab = i32x4.min_u(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.min_u(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  const least = i32x4.min_u(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
  const values = v128.or(i32x4.shr_u(least, 1), i32x4.splat(FALLBACK));
  store<i32>(slotAt(slotA), i32x4.extract_lane(values, 0));
  store<i32>(slotAt(slotB), i32x4.extract_lane(values, 1));
  store<i32>(slotAt(slotC), i32x4.extract_lane(values, 2));
  store<i32>(slotAt(slotD), i32x4.extract_lane(values, 3));
}

function multiplier(slot: u32): v128 {
  return i32x4.splat(load<i32>(MULTIPLIERS + ((<usize>slot) << 2)));
}

/** A multiplication and a shift to each side of another: of the kind of MurmurHash3's 64-bit finalizer (Appleby). */
function mix64(value: u32): u64 {
  let hash = <u64>value * (((<u64>0x9e3779b9) << 32) | 0x7f4a7c15);
  hash = (hash ^ (hash >>> 32)) * (((<u64>0xd6e8feb8) << 32) | 0x6659fd93);
  return hash ^ (hash >>> 32);
}
