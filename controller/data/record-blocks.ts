import { BLOCK_BYTES, type Block } from "./block.ts";

/** Records as JSON lines until they fill a block. */
export class RecordBlocks {
  #lines: string[] = [];
  #numbers: number[] = [];
  #problems = new Map<number, string>();
  #characters = 0;

  /** @returns a block when one is full */
  add(record: unknown, number: number): Block | undefined {
    return this.#add(JSON.stringify(record, plain), number);
  }

  /** A record that cannot be read. @returns a block when one is full */
  addProblem(problem: string, number: number): Block | undefined {
    this.#problems.set(this.#numbers.length, problem);
    this.#characters += problem.length;
    return this.#add("", number);
  }

  take(): Block | undefined {
    if (this.#numbers.length === 0) return undefined;
    const lines = new TextEncoder().encode(`${this.#lines.join("\n")}\n`);
    const numbers = Uint32Array.from(this.#numbers);
    const problems = this.#problems;
    this.#lines = [];
    this.#numbers = [];
    this.#problems = new Map();
    this.#characters = 0;
    const block = { lines, first: numbers[0] ?? 1, count: numbers.length, numbers };
    return problems.size > 0 ? { ...block, problems } : block;
  }

  #add(line: string, number: number): Block | undefined {
    this.#lines.push(line);
    this.#numbers.push(number);
    this.#characters += line.length;
    return this.#characters >= BLOCK_BYTES ? this.take() : undefined;
  }
}

/** JSON has no 64-bit integers and no bytes; text stands for them. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}
