/**
 * What the functions of the kernel share: a text, its shingles and a table, one after the other behind the static data.
 * The host writes the text to `text`, finds shingles at `shingles`, and band keys at `bands`.
 */

const PAGE_BYTES: usize = 65_536;
/** Bytes behind the shingles that vectors may read and write. */
const PADDING: usize = 16;

export const BANDS: usize = 25;
export const bands: usize = memory.data(25 * 4, 16);
export let text: usize = 0;
export let shingles: usize = 0;
export let table: usize = 0;
/** Entries of 8 bytes that the table has. */
export let entries: u32 = 0;

/** Makes room for a text of so many bytes, and for half as many shingles; what was there before is lost. */
export function reserve(bytes: u32): void {
  text = __heap_base;
  shingles = aligned(text + bytes + 1);
  // A word and what separates it from the next are two bytes at least.
  table = aligned(shingles + ((<usize>bytes / 2 + 1) << 2) + PADDING);
  entries = 0;
  reserveTable(256);
}

/** Makes room for so many bytes in place of text, shingles and table. @returns where; zeros follow them */
export function holdBytes(bytes: u32): usize {
  grow(__heap_base + bytes + PADDING);
  memory.fill(__heap_base + bytes, 0, PADDING);
  return __heap_base;
}

/** Makes room for so many entries; the table is empty then. */
export function reserveTable(count: u32): void {
  entries = count;
  const size = (<usize>count) << 3;
  grow(table + size);
  memory.fill(table, 0, size);
}

/** Makes memory reach so far. */
function grow(end: usize): void {
  const pages = <i32>((end + PAGE_BYTES - 1) / PAGE_BYTES) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) unreachable();
}

function aligned(address: usize): usize {
  return (address + 15) & ~(<usize>15);
}
