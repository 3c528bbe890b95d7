import type { DatabaseSync } from "node:sqlite";
import { canonicalJson, type Json } from "../graph/canonical.ts";
import { CANCELLED, type Intent, type IntentLog } from "./store.ts";
import { hooked, type WriteHook } from "./write-hook.ts";

interface Row {
  id: number;
  object: string;
  effect: string;
  input_digest: string;
  attempt: number;
  input: string;
  started_at: number;
  finished_at: number | null;
  output: string | null;
  error: string | null;
  cancelled: number;
}

/**
 * Of one effect of one object. A source that is looked at each minute, or cannot be reached for a year, must not fill
 * the disk. What ended well last is kept besides, as it stays in use however long what comes after it fails.
 */
const KEPT_ATTEMPTS = 200;

const LAST_SUCCEEDED = `SELECT * FROM intents WHERE object = ? AND effect = ? AND output IS NOT NULL
  ORDER BY finished_at DESC, id DESC LIMIT 1`;

/** The intent log in SQLite. */
export function createIntentLog(db: DatabaseSync, now: () => number, hook?: WriteHook): IntentLog {
  const find = db.prepare(
    "SELECT * FROM intents WHERE object = ? AND effect = ? AND input_digest = ? AND attempt = ?",
  );
  const insert = db.prepare(
    `INSERT INTO intents (object, effect, input_digest, attempt, input, started_at)
     VALUES (?, ?, ?, ?, ?, ?) RETURNING *`,
  );
  const byId = db.prepare("SELECT * FROM intents WHERE id = ?");
  // It keeps the time of its start: whoever opens it again sees that it was begun before.
  const reopen = db.prepare(
    "UPDATE intents SET finished_at = NULL, error = NULL, cancelled = 0 WHERE id = ? RETURNING *",
  );
  // The first outcome stands: an outcome that arrives twice must not rewrite what others already acted on.
  const finish = db.prepare(
    "UPDATE intents SET finished_at = ?, output = ?, error = ?, cancelled = ? WHERE id = ? AND finished_at IS NULL",
  );
  const latest = db.prepare(
    `SELECT * FROM intents WHERE object = ? AND effect = ? AND input_digest = ? AND cancelled = 0
     ORDER BY attempt DESC LIMIT 1`,
  );
  const succeeded = db.prepare(LAST_SUCCEEDED);
  const unfinished = db.prepare("SELECT * FROM intents WHERE finished_at IS NULL ORDER BY id");
  const unfinishedOf = db.prepare(
    "SELECT * FROM intents WHERE object = ? AND finished_at IS NULL ORDER BY id",
  );
  const objects = db.prepare("SELECT DISTINCT object FROM intents");
  const trim = db.prepare(
    `DELETE FROM intents WHERE object = ? AND effect = ? AND finished_at IS NOT NULL AND id <= (
       SELECT id FROM intents WHERE object = ? AND effect = ? ORDER BY id DESC LIMIT 1 OFFSET ${KEPT_ATTEMPTS})
     AND id IS NOT (${LAST_SUCCEEDED.replace("*", "id")})`,
  );
  const forget = db.prepare("DELETE FROM intents WHERE object = ?");

  return {
    async begin({ object, effect, inputDigest, attempt, input }) {
      const known = find.get(object, effect, inputDigest, attempt) as Row | undefined;
      if (known && !known.cancelled) return toIntent(known);
      return hooked(hook, `intent/begin/${kindOf(object)}.${effect}`, () => {
        const row = known
          ? reopen.get(known.id)
          : insert.get(object, effect, inputDigest, attempt, canonicalJson(input), now());
        return toIntent(row as unknown as Row);
      });
    },
    async finish(id, outcome) {
      const row = byId.get(id) as Row | undefined;
      if (!row) return; // forgotten meanwhile: its object is gone
      hooked(hook, `intent/finish/${kindOf(row.object)}.${row.effect}`, () => {
        const output = "output" in outcome ? canonicalJson(outcome.output) : null;
        const error = "error" in outcome ? canonicalJson(outcome.error) : null;
        const cancelled = "error" in outcome && outcome.error.code === CANCELLED ? 1 : 0;
        finish.run(now(), output, error, cancelled, id);
        const { object, effect } = row;
        trim.run(object, effect, object, effect, object, effect);
      });
    },
    latest(object, effect, inputDigest) {
      const row = latest.get(object, effect, inputDigest) as Row | undefined;
      return row && toIntent(row);
    },
    lastSucceeded(object, effect) {
      const row = succeeded.get(object, effect) as Row | undefined;
      return row && toIntent(row);
    },
    unfinished(object) {
      const rows = object === undefined ? unfinished.all() : unfinishedOf.all(object);
      return (rows as unknown as Row[]).map(toIntent);
    },
    objects: () => (objects.all() as { object: string }[]).map((row) => row.object),
    async forget(object) {
      hooked(hook, `intent/forget/${kindOf(object)}`, () => forget.run(object));
    },
  };
}

function kindOf(object: string): string {
  return object.split("/", 1)[0] ?? object;
}

function toIntent(row: Row): Intent {
  return {
    id: row.id,
    object: row.object,
    effect: row.effect,
    inputDigest: row.input_digest,
    attempt: row.attempt,
    input: JSON.parse(row.input) as Json,
    startedAt: row.started_at,
    ...(row.finished_at !== null && { finishedAt: row.finished_at }),
    ...(row.output !== null && { output: JSON.parse(row.output) as Json }),
    ...(row.error !== null && { error: JSON.parse(row.error) as NonNullable<Intent["error"]> }),
  };
}
