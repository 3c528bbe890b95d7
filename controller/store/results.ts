import type { DatabaseSync } from "node:sqlite";
import { canonicalJson, type Json } from "../graph/canonical.ts";
import type { ResultCache } from "./store.ts";
import { hooked, type WriteHook } from "./write-hook.ts";

/** The result cache in SQLite. A later answer to the same request replaces the former one, and its age. */
export function createResultCache(db: DatabaseSync, now: () => number, hook?: WriteHook): ResultCache {
  const find = db.prepare(
    "SELECT value FROM results WHERE tenant = ? AND bucket = ? AND key = ? AND created_at >= ?",
  );
  const upsert = db.prepare(
    `INSERT INTO results (tenant, bucket, key, value, created_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET value = excluded.value, created_at = excluded.created_at`,
  );
  return {
    get(tenant, bucket, key, maxAgeMs) {
      const since = maxAgeMs === undefined || maxAgeMs === Number.POSITIVE_INFINITY ? 0 : now() - maxAgeMs;
      const row = find.get(tenant, bucket, key, Math.ceil(since)) as { value: string } | undefined;
      return row && (JSON.parse(row.value) as Json);
    },
    async put(tenant, bucket, key, value) {
      hooked(hook, `result/${bucket}`, () => upsert.run(tenant, bucket, key, canonicalJson(value), now()));
    },
  };
}
