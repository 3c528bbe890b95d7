import { setImmediate } from "node:timers/promises";
import { SlipwayError } from "../../../errors.ts";

/** The provider's limit on a training file. */
const MAX_FILE_BYTES = 512 << 20;

interface Message {
  readonly role: string;
  readonly content: string;
}

/** After so many rows whatever else waits in this process has its turn. */
const ROWS_AT_A_TIME = 1_000;

/**
 * Rows of a Dataset as the provider's fine-tuning reads them: chats for sft, pairs of answers for dpo. A line at a time:
 * all of them may be more than one text can hold.
 * @param data JSON Lines
 * @throws SlipwayError BadDataset naming file and row
 */
export async function hostedRows(file: string, data: Uint8Array, method: "sft" | "dpo"): Promise<Buffer> {
  assertFits(file, data.byteLength);
  const lines = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const done: Buffer[] = [];
  let out: string[] = [];
  const flush = () => {
    if (out.length > 0) done.push(Buffer.from(out.join("")));
    out = [];
  };
  for (let start = 0, number = 1; start < lines.length; number++) {
    const found = lines.indexOf(0x0a, start);
    const end = found < 0 ? lines.length : found;
    const line = lines.toString("utf8", start, end);
    start = end + 1;
    if (line.trim() === "") continue;
    const row = parse(line);
    const converted = row && (method === "sft" ? chat(row) : pair(row));
    if (!converted) {
      const needs = method === "sft" ? "messages, or prompt and completion" : "prompt, chosen and rejected";
      throw new SlipwayError("BadDataset", `${file}, row ${number}: method ${method} needs ${needs}`);
    }
    out.push(`${JSON.stringify(converted)}\n`);
    if (out.length < ROWS_AT_A_TIME) continue;
    flush();
    await setImmediate();
  }
  flush();
  if (done.length === 0) throw new SlipwayError("BadDataset", `${file} has no rows`);
  return Buffer.concat(done);
}

/** @throws SlipwayError BadDataset for more than the provider takes */
export function assertFits(file: string, bytes: number): void {
  if (bytes > MAX_FILE_BYTES)
    throw new SlipwayError("BadDataset", `${file} has ${bytes} bytes; the provider takes 512 MiB`);
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const row: unknown = JSON.parse(line);
    return typeof row === "object" && row !== null && !Array.isArray(row)
      ? (row as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function chat({ messages, prompt, completion }: Record<string, unknown>): object | undefined {
  const whole = conversation(messages, "user") ?? joined(prompt, completion);
  return whole?.at(-1)?.role === "assistant" ? { messages: whole } : undefined;
}

function pair({ prompt, chosen, rejected }: Record<string, unknown>): object | undefined {
  const input = conversation(prompt, "user");
  const better = conversation(chosen, "assistant");
  const worse = conversation(rejected, "assistant");
  if (!input || !better || !worse) return undefined;
  return { input: { messages: input }, preferred_output: better, non_preferred_output: worse };
}

function joined(prompt: unknown, completion: unknown): Message[] | undefined {
  const before = conversation(prompt, "user");
  const after = conversation(completion, "assistant");
  return before && after && [...before, ...after];
}

/** Text stands for one message of the role. */
function conversation(value: unknown, role: string): Message[] | undefined {
  if (typeof value === "string") return [{ role, content: value }];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const messages = value as Partial<Message>[];
  const right = messages.every((each) => typeof each?.role === "string" && typeof each.content === "string");
  return right ? messages.map((each) => ({ role: each.role!, content: each.content! })) : undefined;
}
