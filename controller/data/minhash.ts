/**
 * Near-duplicates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of
 * Massive Datasets", ch. 3). Candidates are compared exactly, so that every pair found is one: only pairs that share
 * no band are missed. With 20 bands of 5 hashes a pair of similarity 0.7 shares a band with a probability of 0.97, one
 * of 0.8 with 0.9996 (datatrove's 14 bands of 8 find 0.57 and 0.92 of them).
 */
const BANDS = 20;
const ROWS = 5;

/** Hashes of the n-grams of words; of a row with fewer words, of all of them as one. Sorted, each once. */
export function shingles(words: readonly string[], ngram: number): Uint32Array {
  const hashes = words.map(hashText);
  const length = Math.min(ngram, hashes.length);
  if (length === 0) return new Uint32Array();
  const found = new Set<number>();
  for (let start = 0; start + length <= hashes.length; start++) {
    let hash = 0x811c9dc5;
    for (let i = start; i < start + length; i++) hash = Math.imul(hash ^ hashes[i]!, 0x01000193);
    found.add(mix(hash));
  }
  return Uint32Array.from(found).sort();
}

/** FNV-1a over UTF-16 units. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finalizer of MurmurHash3 (Appleby). */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

// Odd multipliers and offsets from one fixed sequence: the same rows are found on every machine.
const MULTIPLIERS = new Uint32Array(BANDS * ROWS);
const OFFSETS = new Uint32Array(BANDS * ROWS);
for (let i = 0, seed = 1; i < BANDS * ROWS; i++) {
  seed = mix(seed + 0x9e3779b9);
  MULTIPLIERS[i] = seed | 1;
  seed = mix(seed + 0x9e3779b9);
  OFFSETS[i] = seed;
}

function signature(shingled: Uint32Array, into: Uint32Array): void {
  into.fill(0xffffffff);
  for (const shingle of shingled) {
    for (let i = 0; i < into.length; i++) {
      const hash = mix((Math.imul(shingle, MULTIPLIERS[i]!) + OFFSETS[i]!) | 0);
      if (hash < into[i]!) into[i] = hash;
    }
  }
}

/** Similarity of two sorted sets: shared over all; 1 for two empty ones. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      shared++;
      i++;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  const all = a.length + b.length - shared;
  return all === 0 ? 1 : shared / all;
}

/**
 * Which cluster each row belongs to: the index of its first row. Rows are joined that are similar, directly or over
 * others. Depends on the rows and their order alone.
 * @param threshold least Jaccard similarity
 */
export function nearClusters(rows: readonly Uint32Array[], threshold: number): Uint32Array {
  const parent = Uint32Array.from(rows, (_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = i; parent[at] !== root; ) {
      const next = parent[at]!;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const minima = new Uint32Array(BANDS * ROWS);
  const buckets = Array.from({ length: BANDS }, () => new Map<string, number[]>());
  for (const [index, shingled] of rows.entries()) {
    if (shingled.length === 0) continue;
    signature(shingled, minima);
    for (const [band, table] of buckets.entries()) {
      const key = minima.subarray(band * ROWS, (band + 1) * ROWS).join();
      const known = table.get(key);
      if (!known) {
        table.set(key, [index]);
        continue;
      }
      // One representative of each cluster in the bucket suffices, so that many equal rows cost no square.
      const seen = new Set<number>();
      for (const other of known) {
        const root = find(other);
        if (root === find(index) || seen.has(root)) continue;
        seen.add(root);
        if (jaccard(shingled, rows[other]!) < threshold) continue;
        const mine = find(index);
        // The earlier row leads, whatever the order of bands.
        parent[Math.max(root, mine)] = Math.min(root, mine);
      }
      if (![...known].some((other) => find(other) === find(index))) known.push(index);
    }
  }
  return Uint32Array.from(rows, (_, i) => find(i));
}
