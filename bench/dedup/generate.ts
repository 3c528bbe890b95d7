import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { Xoshiro128 } from "../../controller/eval/statistics/random.ts";

/**
 * Writes rows of 30 to 90 words, always the same for the same number: a quarter are others with up to four words
 * changed, which is a similarity of about 0.5 to 1. Words are drawn unevenly, as those of a language are.
 */
export async function generateRows(path: string, rows: number, seed = 1): Promise<void> {
  const random = Xoshiro128.fromSeed(seed);
  const block = new Int32Array(4_096);
  let at = block.length;
  const below = (limit: number) => {
    if (at === block.length) {
      random.fill(block);
      at = 0;
    }
    return Math.floor(((block[at++]! >>> 0) / 2 ** 32) * limit);
  };
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const words = Array.from({ length: 30_000 }, () =>
    Array.from({ length: 3 + below(7) }, () => letters[below(26)]).join(""),
  );
  const word = () => words[Math.min(below(words.length), below(words.length))]!;
  const out = createWriteStream(path);
  const known: string[][] = [];
  let lines = "";
  for (let i = 0; i < rows; i++) {
    let text: string[];
    if (known.length > 0 && below(4) === 0) {
      text = [...known[below(known.length)]!];
      for (let changes = below(5); changes > 0; changes--) text[below(text.length)] = word();
    } else {
      text = Array.from({ length: 30 + below(60) }, word);
      if (known.length < 20_000) known.push(text);
      else known[below(known.length)] = text;
    }
    lines += `${JSON.stringify({ prompt: text.slice(0, -3).join(" "), completion: text.slice(-3).join(" ") })}\n`;
    if (lines.length < 1 << 20) continue;
    if (!out.write(lines)) await once(out, "drain");
    lines = "";
  }
  out.end(lines);
  await once(out, "finish");
}
