import type { Row } from "../row.ts";

/** What a step makes of a row: another, which counts as changed, the same object, or in words why it is dropped. */
export type RowStep = (row: Row, source: string) => Row | string;

/** A record of a source, before it is a row of the format. */
export type SourceRecord = Readonly<Record<string, unknown>>;

/** Why no row can be made of a record, in words. */
export class BadRecord {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** What a step before the format makes of a record: another, the same object, or in words why it is dropped. */
export type RecordStep = (record: SourceRecord, source: string) => SourceRecord | string | BadRecord;
