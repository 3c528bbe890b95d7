/*
 * Words are runs of letters and digits of any script, NFKC and in lower case. Most text is ASCII, which is
 * looked at where it stands, without a string for each word.
 */

const WORD = /[\p{L}\p{N}]+/gu;

/** For ASCII: 1 for what is part of a word. */
const INSIDE = Uint8Array.from({ length: 128 }, (_, code) =>
  /[a-z0-9]/i.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The words of a text. */
export function wordsOf(text: string): string[] {
  return text.normalize("NFKC").toLowerCase().match(WORD) ?? [];
}

/** A growing list of hashes, used again for each row. */
export class Hashes {
  values = new Uint32Array(1024);
  length = 0;

  /** Empties it and makes room for about as many: to move what lies there, again and again, costs more. */
  begin(hashes: number): void {
    this.length = 0;
    if (hashes > this.values.length) this.values = new Uint32Array(hashes);
  }

  /** Adds those of a list from one place to another. They are few: a view of them would cost more than to copy them. */
  append(list: Uint32Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.values.length) {
      const larger = new Uint32Array(length * 2);
      larger.set(this.values.subarray(0, this.length));
      this.values = larger;
    }
    const { values } = this;
    for (let from = start, to = this.length; from < end; from++) values[to++] = list[from]!;
    this.length = length;
  }
}

/** How many words a text has. */
export function countWords(text: string): number {
  let count = 0;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return wordsOf(text).length;
    const word = INSIDE[code] === 1;
    if (word && !inside) count++;
    inside = word;
  }
  return count;
}
