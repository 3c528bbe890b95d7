import { entries, reserveTable, shingles, table } from "./memory";

/** Goes into the upper half of each entry, so that the table is emptied by counting on. */
let mark: u32 = 0;
/** Entries of the table that the set now remembered is spread over: a power of two, few enough to stay in the cache. */
let slots: u32 = 0;

/** The place of a value in the table, or the free one for it. */
function entryOf(value: u32): usize {
  const entry = ((<u64>mark) << 32) | <u64>value;
  const last = slots - 1;
  let slot = value & last;
  let at = table + ((<usize>slot) << 3);
  for (let known = load<u64>(at); known !== entry && <u32>(known >>> 32) === mark; known = load<u64>(at)) {
    slot = (slot + 1) & last;
    at = table + ((<usize>slot) << 3);
  }
  return at;
}

/** Leaves each of so many shingles there once, in order, and remembers them. @returns how many are left */
export function distinct(count: u32): u32 {
  if (++mark === 0) {
    reserveTable(entries);
    mark = 1;
  }
  slots = 16;
  while (slots < count * 2) slots *= 2;
  if (slots > entries) reserveTable(slots);
  let out = shingles;
  for (let at = shingles, end = shingles + ((<usize>count) << 2); at < end; at += 4) {
    const value = load<u32>(at);
    const entry = entryOf(value);
    if (<u32>(load<u64>(entry) >>> 32) === mark) continue;
    store<u64>(entry, ((<u64>mark) << 32) | <u64>value);
    store<u32>(out, value);
    out += 4;
  }
  return <u32>((out - shingles) >>> 2);
}

/** How many of so many shingles, each there once, are among those that {@link distinct} remembers. */
export function shared(count: u32): u32 {
  let found: u32 = 0;
  for (let at = shingles, end = shingles + ((<usize>count) << 2); at < end; at += 4)
    if (<u32>(load<u64>(entryOf(load<u32>(at))) >>> 32) === mark) found++;
  return found;
}
