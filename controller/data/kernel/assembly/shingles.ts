import { mix } from "./hash";
import { shingles, text } from "./memory";

/** FNV-1a (Fowler, Noll, Vo). */
const OFFSET: u32 = 0x811c9dc5;
const PRIME: u32 = 0x01000193;

/** For each byte: 0 for what separates words, else the character in lower case. Bytes beyond ASCII are of letters. */
const LOWER: usize = memory.data(256);
for (let byte: u32 = 0; byte < 256; byte++) {
  const upper = byte >= 0x41 && byte <= 0x5a;
  const letter = byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a);
  store<u8>(LOWER + byte, <u8>(upper ? byte | 0x20 : letter ? byte : 0));
}

/** The last words, by their number: as many as the largest n-gram has, and more. */
const RING: usize = memory.data(16 * 4);

/**
 * Hashes of the n-grams of a text's words, in order, some perhaps twice; of fewer words, of all of them as one.
 * @param ngram at most 15
 * @returns how many
 */
export function shingle(length: u32, ngram: u32): u32 {
  let power: u32 = 1;
  for (let i: u32 = 0; i < ngram; i++) power *= PRIME;
  let words: u32 = 0;
  let rolled: u32 = 0;
  let out = shingles;
  let hash = OFFSET;
  // Behind the text something that ends the last word.
  const end = text + length;
  store<u8>(end, 0);
  for (let at = text; at <= end; at++) {
    const lower = <u32>load<u8>(LOWER + <usize>load<u8>(at));
    if (lower !== 0) {
      hash = (hash ^ lower) * PRIME;
    } else if (hash !== OFFSET) {
      // A polynomial of the words: the next comes in, the first goes out.
      rolled = rolled * PRIME + hash;
      if (words >= ngram) rolled -= load<u32>(ringAt(words - ngram)) * power;
      store<u32>(ringAt(words), hash);
      words++;
      if (words >= ngram) {
        store<u32>(out, mix(rolled));
        out += 4;
      }
      hash = OFFSET;
    }
  }
  if (words > 0 && words < ngram) {
    store<u32>(out, mix(rolled));
    out += 4;
  }
  return <u32>((out - shingles) >>> 2);
}

function ringAt(word: u32): usize {
  return RING + ((<usize>word & 15) << 2);
}
