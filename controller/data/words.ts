/*
 * Words are runs of letters and digits of any script, NFKC and in lower case. Most text is ASCII, and most of the time
 * goes into it: it is hashed where it stands, without a string for each word.
 */

const WORD = /[\p{L}\p{N}]+/gu;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** For ASCII: 0 for what separates words, else the character in lower case. */
const LOWER = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  const character = String.fromCharCode(code);
  if (/[a-z0-9]/i.test(character)) LOWER[code] = character.toLowerCase().charCodeAt(0);
}

/** The words of a text. */
export function wordsOf(text: string): string[] {
  return text.normalize("NFKC").toLowerCase().match(WORD) ?? [];
}

/** A growing list of hashes, used again for each row. */
export class Hashes {
  values = new Uint32Array(1024);
  length = 0;

  /** Makes room for so many in all, to be written to `values` directly. */
  reserve(count: number): void {
    if (count > this.values.length) this.#grow(count * 2);
  }

  push(hash: number): void {
    if (this.length === this.values.length) this.#grow(this.length * 2);
    this.values[this.length++] = hash;
  }

  #grow(room: number): void {
    const larger = new Uint32Array(room);
    larger.set(this.values.subarray(0, this.length));
    this.values = larger;
  }
}

/** Adds the hash of each word of a text (FNV-1a over UTF-16 units). The same words have the same hashes in any text. */
export function hashWords(text: string, into: Hashes): void {
  const start = into.length;
  let hash = FNV_OFFSET;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) {
      into.length = start;
      for (const word of wordsOf(text)) into.push(hashWord(word));
      return;
    }
    const lower = LOWER[code]!;
    if (lower !== 0) {
      hash = Math.imul(hash ^ lower, FNV_PRIME);
      inside = true;
    } else if (inside) {
      into.push(hash >>> 0);
      hash = FNV_OFFSET;
      inside = false;
    }
  }
  if (inside) into.push(hash >>> 0);
}

/** The hash of a word as {@link hashWords} has it. */
export function hashWord(word: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), FNV_PRIME);
  return hash >>> 0;
}

/** How many words a text has. */
export function countWords(text: string): number {
  let count = 0;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return wordsOf(text).length;
    const word = LOWER[code] !== 0;
    if (word && !inside) count++;
    inside = word;
  }
  return count;
}
