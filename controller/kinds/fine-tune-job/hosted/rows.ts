import { SlipwayError } from "../../../errors.ts";

/** The provider's limit on a training file. */
const MAX_FILE_BYTES = 512 << 20;

interface Message {
  readonly role: string;
  readonly content: string;
}

/**
 * Rows of a Dataset as the provider's fine-tuning reads them: chats for sft, pairs of answers for dpo.
 * @param data JSON Lines
 * @throws SlipwayError BadDataset naming file and row
 */
export function hostedRows(file: string, data: Uint8Array, method: "sft" | "dpo"): string {
  assertFits(file, data.byteLength);
  const lines = new TextDecoder().decode(data).split("\n");
  const out: string[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const row = parse(line);
    const converted = row && (method === "sft" ? chat(row) : pair(row));
    if (!converted) {
      const needs = method === "sft" ? "messages, or prompt and completion" : "prompt, chosen and rejected";
      throw new SlipwayError("BadDataset", `${file}, row ${i + 1}: method ${method} needs ${needs}`);
    }
    out.push(JSON.stringify(converted));
  }
  if (out.length === 0) throw new SlipwayError("BadDataset", `${file} has no rows`);
  return `${out.join("\n")}\n`;
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
