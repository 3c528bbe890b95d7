import { closeSync, openSync, writeFileSync } from "node:fs";
import type { SchemaCheck } from "../json-schema/json-schema.ts";
import type { Block } from "./block.ts";
import { type Chunk, ChunkWriter, eachSpooled, type FileName, originOf, type Place, Room } from "./chunk.ts";
import { FlatReader } from "./flat.ts";
import { isDrawn, KeyWriter } from "./keys.ts";
import { LineBuffer } from "./line-buffer.ts";
import { type PrepareSpec, passesOf } from "./passes.ts";
import { findPii } from "./pii.ts";
import { eachFlatRecord, eachRecord, type Visit } from "./records.ts";
import { lineOf, type Row, textOf, textsOf, toRow } from "./row.ts";
import { type Cases, recordStep, rowStep } from "./steps/compile.ts";
import { BadRecord, type RecordStep, type RowStep, type SourceRecord } from "./steps/types.ts";
import { type StepCount, Tally } from "./tally.ts";
import { countWords } from "./words.ts";

/** What every thread knows. */
export interface StageContext {
  readonly spec: PrepareSpec;
  readonly cases: Cases;
  readonly files: readonly FileName[];
  /** Writes down where each row of the result was found. */
  readonly origins?: boolean | undefined;
}

/** Some rows, in order, through one stage. Stages are the passes, and at last the writing. */
export interface StageTask {
  readonly stage: number;
  readonly from:
    | { readonly block: Block; readonly file: number }
    | {
        readonly chunk: Chunk;
        /** 1 for rows that a global step has dropped; one for each row of the chunk. */
        readonly dropped: Uint8Array;
        /** Which split each row is in; absent where there is one. */
        readonly splits?: Uint8Array;
      };
  /** Paths that begin with this are written. */
  readonly out: string;
}

export interface StageResult {
  /** Records that the block has; 0 for rows that were read before. */
  readonly read: number;
  /** In the order of {@link stageNames}. */
  readonly counts: readonly StepCount[];
  /** Of everything that was written. */
  readonly bytes: number;
  readonly chunk?: Chunk;
  /** Of each global step. */
  readonly keys?: readonly string[];
  readonly written?: Written;
}

/** Rows as they are published. */
export interface Written {
  readonly splits: readonly {
    readonly path: string;
    readonly rows: number;
    readonly places?: readonly Place[];
  }[];
  readonly words: number;
  readonly piiRows: number;
  /** Rows by the power of two that their number of words does not exceed. */
  readonly lengths: readonly (readonly [number, number])[];
}

export const BAD_ROWS = "bad-rows";
export const WEIGHTS = "weights";

/** The steps of a stage by name, as its counts come. */
export function stageNames(spec: PrepareSpec, stage: number): string[] {
  const { records, passes, last } = passesOf(spec);
  const steps = (passes[stage]?.steps ?? last).map(({ name }) => name);
  return stage === 0 ? [...records.map(({ name }) => name), BAD_ROWS, WEIGHTS, ...steps] : steps;
}

const ALL_PII = ["email", "phone", "iban", "card", "ip", "key"] as const;

/** Runs tasks of one stage; what it returns depends on the task and the context alone. */
export class Stage {
  readonly #context: StageContext;
  readonly #records: readonly RecordStep[];
  readonly #steps: readonly RowStep[];
  readonly #number: number;
  readonly #schema: SchemaCheck | undefined;
  /** Of each global step. */
  readonly #keys: readonly KeyWriter[];
  /** Of each split. */
  readonly #lines: readonly LineBuffer[];
  #flat: FlatReader | undefined;

  private constructor(
    context: StageContext,
    number: number,
    records: RecordStep[],
    steps: RowStep[],
    schema: SchemaCheck | undefined,
  ) {
    this.#context = context;
    this.#number = number;
    this.#records = records;
    this.#steps = steps;
    this.#schema = schema;
    const { globals = [] } = passesOf(context.spec).passes[number] ?? {};
    this.#keys = globals.map((global) => new KeyWriter(global, context.spec.splitSeed));
    this.#lines = context.spec.splits.map(() => new LineBuffer());
  }

  static async compile(context: StageContext, number: number): Promise<Stage> {
    const { records, passes, last } = passesOf(context.spec);
    const steps = await Promise.all(
      (passes[number]?.steps ?? last).map((step) => rowStep(step, context.cases)),
    );
    const columns = number === 0 ? await Promise.all(records.map(recordStep)) : [];
    const schema = number === 0 ? await schemaCheck(context.spec) : undefined;
    return new Stage(context, number, columns, steps, schema);
  }

  run({ from, out }: StageTask): StageResult {
    const { spec, origins = false } = this.#context;
    const names = stageNames(spec, this.#number);
    const tallies = names.map(() => new Tally());
    const pass = passesOf(spec).passes[this.#number];
    const rows = "chunk" in from ? from.chunk.rows : from.block.count;
    const bytes = "chunk" in from ? from.chunk.bytes : from.block.lines.byteLength;
    const sink = pass
      ? new KeyedRows(this.#keys, { rows, bytes }, this.#lines[0]!)
      : new SplitRows(this.#lines, origins);
    let read = 0;
    if ("block" in from) {
      const { block, file } = from;
      const visit: Visit = (number, value, problem) => {
        read++;
        this.#read({ file, number }, value, problem, tallies, sink);
      };
      const flat = sink instanceof KeyedRows ? this.#flatReader(block, file) : undefined;
      if (!flat) eachRecord(block, visit);
      else {
        const visitFlat = (number: number) => {
          read++;
          for (const tally of tallies) tally.rows++;
          (sink as KeyedRows).addFlat(flat, { file, number });
        };
        eachFlatRecord(block, flat, visitFlat, visit);
      }
    } else {
      eachSpooled(from.chunk, from.dropped, ({ row, line, ...place }, index) => {
        this.#pass(row, line, place, from.splits?.[index] ?? 0, tallies, 0, sink);
      });
    }
    return { read, counts: tallies.map((tally, i) => tally.named(names[i]!)), ...sink.finish(out) };
  }

  /** Rows that nothing looks into before their keys are taken need not be made. */
  #flatReader(block: Block, file: number): FlatReader | undefined {
    const { spec, files } = this.#context;
    const looked = this.#records.length + this.#steps.length > 0 || this.#schema !== undefined;
    const drawn = spec.sources[files[file]!.source]!.weight < 1;
    if (looked || drawn) return undefined;
    this.#flat ??= FlatReader.for(spec.format);
    this.#flat?.hold(block.lines);
    return this.#flat;
  }

  #read(place: Place, value: unknown, problem: string | undefined, tallies: Tally[], sink: Sink): void {
    const { spec, files } = this.#context;
    const source = spec.sources[files[place.file]!.source]!;
    const bad = this.#records.length;
    const row =
      problem === undefined ? this.#rowOf(value, source.name, tallies) : { step: bad, reason: problem };
    if (!isRejected(row)) tallies[bad]!.rows++;
    else {
      if (row.step === bad) tallies[bad]!.rows++;
      tallies[row.step]!.drop(() => originOf(files, place), row.reason);
      return;
    }
    const weights = tallies[bad + 1]!;
    weights.rows++;
    if (isDrawn(row, source.name, source.weight))
      this.#pass(row, undefined, place, 0, tallies, bad + 2, sink);
    else weights.drop(() => originOf(files, place), "not drawn");
  }

  /** A record as a row of the format, after the steps over its columns. */
  #rowOf(value: unknown, source: string, tallies: Tally[]): Row | Rejected {
    const bad = this.#records.length;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return { step: bad, reason: "a row is an object" };
    let record = value as SourceRecord;
    for (const [step, run] of this.#records.entries()) {
      const tally = tallies[step]!;
      tally.rows++;
      const made = run(record, source);
      if (typeof made === "string") return { step, reason: made };
      if (made instanceof BadRecord) return { step: bad, reason: made.message };
      if (made !== record) tally.changed++;
      record = made;
    }
    const problem = this.#schema?.(record, "row");
    if (problem !== undefined) return { step: bad, reason: problem };
    const row = toRow(this.#context.spec.format, record);
    return typeof row === "string" ? { step: bad, reason: row } : row;
  }

  #pass(
    row: Row,
    known: string | undefined,
    place: Place,
    split: number,
    tallies: Tally[],
    first: number,
    sink: Sink,
  ): void {
    const { spec, files } = this.#context;
    let current = row;
    for (const [i, step] of this.#steps.entries()) {
      const tally = tallies[first + i]!;
      tally.rows++;
      const made = step(current, spec.sources[files[place.file]!.source]!.name);
      if (typeof made === "string") {
        tally.drop(() => originOf(files, place), made);
        return;
      }
      if (made !== current) tally.changed++;
      current = made;
    }
    sink.add(current, current === row && known !== undefined ? known : lineOf(current), place, split);
  }
}

/** The compiler is loaded by those who have a schema. */
async function schemaCheck({ schema }: PrepareSpec): Promise<SchemaCheck | undefined> {
  if (schema === undefined) return undefined;
  const { compileSchema } = await import("../json-schema/json-schema.ts");
  return compileSchema(schema);
}

/** Which step does not let a record through, and why. */
interface Rejected {
  readonly step: number;
  readonly reason: string;
}

const isRejected = (row: Row | Rejected): row is Rejected => typeof (row as Rejected).step === "number";

interface Sink {
  add(row: Row, line: string, place: Place, split: number): void;
  finish(out: string): Pick<StageResult, "bytes" | "chunk" | "keys" | "written">;
}

/** Of what stands before a row: its place, and members in their order. */
const PLACE_BYTES = 32;

/** Rows for the next pass, with what the global steps ask of each. */
class KeyedRows implements Sink {
  readonly #keys: readonly KeyWriter[];
  readonly #rows: ChunkWriter;

  /** @param expected how many rows there are at most, and about how many bytes they have */
  constructor(
    keys: readonly KeyWriter[],
    { rows, bytes }: { readonly rows: number; readonly bytes: number },
    lines: LineBuffer,
  ) {
    this.#keys = keys;
    lines.expect(bytes + rows * PLACE_BYTES);
    for (const each of keys) each.begin(rows);
    this.#rows = new ChunkWriter(lines);
  }

  add(row: Row, line: string, place: Place): void {
    for (const keys of this.#keys) keys.add(row, line, this.#rows.rows);
    this.#rows.add(place, line);
  }

  /** The row that was read last. */
  addFlat(row: FlatReader, place: Place): void {
    for (const keys of this.#keys) keys.addFlat(row, this.#rows.rows);
    this.#rows.addFlat(place, row);
  }

  finish(out: string) {
    let bytes = 0;
    const keys = this.#keys.map((each, i) => {
      const path = `${out}.keys${i}`;
      bytes += writeParts(path, each.finish(this.#rows.rows));
      return path;
    });
    const chunk = this.#rows.write(`${out}.rows`);
    return { chunk, keys, bytes: bytes + chunk.bytes };
  }
}

/** @returns bytes */
function writeParts(path: string, parts: readonly Uint32Array[]): number {
  const fd = openSync(path, "w");
  try {
    for (const part of parts) writeFileSync(fd, part);
  } finally {
    closeSync(fd);
  }
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Rows as they are published, by split, and figures of them. */
class SplitRows implements Sink {
  readonly #splits: readonly { lines: LineBuffer; rows: number; places: Place[] }[];
  readonly #origins: boolean;
  readonly #lengths = new Map<number, number>();
  readonly #room = new Room();
  #words = 0;
  #piiRows = 0;

  /** @param lines of each split; empty, and used until the rows are written */
  constructor(lines: readonly LineBuffer[], origins: boolean) {
    this.#origins = origins;
    this.#splits = lines.map((each) => ({ lines: each, rows: 0, places: [] }));
  }

  add(row: Row, line: string, place: Place, split: number): void {
    const into = this.#splits[split]!;
    this.#room.take(line.length);
    if (this.#origins) into.places.push(place);
    into.lines.write(line);
    into.lines.end();
    into.rows++;
    if (textsOf(row).some((text) => findPii(text, ALL_PII).length > 0)) this.#piiRows++;
    const words = countWords(textOf(row));
    this.#words += words;
    const upTo = words <= 1 ? 1 : 2 ** Math.ceil(Math.log2(words));
    this.#lengths.set(upTo, (this.#lengths.get(upTo) ?? 0) + 1);
  }

  finish(out: string) {
    let bytes = 0;
    const splits = this.#splits.map(({ lines, rows, places }, i) => {
      const path = `${out}.split${i}`;
      const data = lines.take();
      writeFileSync(path, data);
      bytes += data.byteLength;
      return { path, rows, ...(this.#origins ? { places } : {}) };
    });
    const [words, piiRows, lengths] = [this.#words, this.#piiRows, [...this.#lengths]];
    return { bytes, written: { splits, words, piiRows, lengths } };
  }
}
