import type { DatabaseSync } from "node:sqlite";
import type { AppliedRecord, AppliedStore } from "./store.ts";
import { hooked, type WriteHook } from "./write-hook.ts";

/** The applied records in SQLite. */
export function createAppliedStore(db: DatabaseSync, hook?: WriteHook): AppliedStore {
  const find = db.prepare("SELECT uid, spec_digest, fields_hash FROM applied WHERE id = ?");
  const upsert = db.prepare(
    `INSERT INTO applied (id, uid, spec_digest, fields_hash) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET uid = excluded.uid, spec_digest = excluded.spec_digest,
       fields_hash = excluded.fields_hash`,
  );
  const remove = db.prepare("DELETE FROM applied WHERE id = ?");
  return {
    get(id): AppliedRecord | undefined {
      const row = find.get(id) as { uid: string; spec_digest: string; fields_hash: string } | undefined;
      return row && { uid: row.uid, specDigest: row.spec_digest, fieldsHash: row.fields_hash };
    },
    async set(id, record) {
      hooked(hook, "applied/set", () => upsert.run(id, record.uid, record.specDigest, record.fieldsHash));
    },
    async delete(id) {
      hooked(hook, "applied/delete", () => remove.run(id));
    },
  };
}
