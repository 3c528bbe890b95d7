import { DatabaseSync } from "node:sqlite";
import { SlipwayError } from "../errors.ts";

/** Statements that bring the schema from version n to n + 1. Never edited once released, only added to. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE intents (
     id INTEGER PRIMARY KEY,
     object TEXT NOT NULL,
     effect TEXT NOT NULL,
     input_digest TEXT NOT NULL,
     attempt INTEGER NOT NULL,
     input TEXT NOT NULL,
     started_at INTEGER NOT NULL,
     finished_at INTEGER,
     output TEXT,
     error TEXT,
     cancelled INTEGER NOT NULL DEFAULT 0,
     UNIQUE (object, effect, input_digest, attempt)
   ) STRICT;
   CREATE INDEX intents_unfinished ON intents (id) WHERE finished_at IS NULL;
   CREATE TABLE results (
     tenant TEXT NOT NULL,
     bucket TEXT NOT NULL,
     key TEXT NOT NULL,
     value TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, bucket, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE applied (
     id TEXT PRIMARY KEY,
     uid TEXT NOT NULL,
     spec_digest TEXT NOT NULL,
     fields_hash TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE reports (
     object TEXT NOT NULL,
     input TEXT NOT NULL,
     state TEXT NOT NULL,
     body TEXT NOT NULL,
     PRIMARY KEY (object, input)
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE uploads (
     object TEXT NOT NULL,
     digest TEXT NOT NULL,
     PRIMARY KEY (object, digest)
   ) STRICT, WITHOUT ROWID;`,
];

/**
 * Opens the database and brings its schema up to date.
 * WAL with synchronous=NORMAL: what was written survives a killed process, because it is in the kernel's
 * hands when the call returns; a power cut may lose the last transactions, never the file.
 * @throws SlipwayError StateTooNew when a later release of Slipway wrote the file
 */
export function openDatabase(path: string, migrations: readonly string[] = MIGRATIONS): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    migrate(db, path, migrations);
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

function migrate(db: DatabaseSync, path: string, migrations: readonly string[]): void {
  const version = (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  if (version > migrations.length) {
    throw new SlipwayError(
      "StateTooNew",
      `${path} has schema ${version}, this release knows ${migrations.length}`,
      {
        hint: "run the release that wrote it, or a later one",
      },
    );
  }
  for (let next = version; next < migrations.length; next++) {
    inTransaction(db, () => db.exec(`${migrations[next]}; PRAGMA user_version = ${next + 1};`));
  }
}

/** Runs `work` in one transaction, which is undone when it throws. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const value = work();
    db.exec("COMMIT");
    return value;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
