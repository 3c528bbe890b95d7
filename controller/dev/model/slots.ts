/** What a slot's key-value cache holds, as token ids. */
export interface SlotState {
  readonly tokens: readonly number[];
  readonly busy: boolean;
  /** Any number that grows with each use; 0 is never used. */
  readonly usedAt: number;
}

/** A prefix shorter than this share of the prompt is no reason to overwrite what another prompt needs. */
const WORTH_KEEPING = 0.5;

/** The number of leading tokens that two lists share. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}

/**
 * The idle slot in which a prompt is evaluated soonest: the one that holds most of it already, else the
 * least recently used. This keeps the base's and the head's prompt of a comparison in slots of their own
 * although their calls alternate. The rule is llama.cpp's server's (slot-prompt-similarity).
 * @returns the slot's index, or undefined when all are busy
 */
export function chooseSlot(prompt: readonly number[], slots: readonly SlotState[]): number | undefined {
  const idle = slots.map((slot, index) => ({ slot, index })).filter(({ slot }) => !slot.busy);
  const best = idle
    .map(({ slot, index }) => ({ index, shared: commonPrefix(slot.tokens, prompt) }))
    .filter(({ shared }) => shared >= WORTH_KEEPING * prompt.length)
    .sort((a, b) => b.shared - a.shared)[0];
  if (best) return best.index;
  return idle.sort((a, b) => a.slot.usedAt - b.slot.usedAt)[0]?.index;
}
