import { randomBytes } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";

const KEY_BYTES = 32;

/** The key of a state folder's work tokens, made on first use. */
export async function workKey(stateDir: string): Promise<Uint8Array> {
  const path = join(stateDir, "work.key");
  const known = await readFile(path).catch(() => undefined);
  if (known?.byteLength === KEY_BYTES) return known;
  const key = randomBytes(KEY_BYTES);
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(key);
    await file.sync();
  } finally {
    await file.close();
  }
  return key;
}
