import type { DatabaseSync } from "node:sqlite";
import { canonicalJson } from "../graph/canonical.ts";
import type { ReportStore, WorkReport } from "./store.ts";
import { hooked, type WriteHook } from "./write-hook.ts";

/** What pods report, in SQLite. */
export function createReportStore(db: DatabaseSync, hook?: WriteHook): ReportStore {
  const upsert = db.prepare(
    `INSERT INTO reports (object, input, state, body) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET state = excluded.state, body = excluded.body
     WHERE reports.state <> 'Succeeded'`,
  );
  const find = db.prepare("SELECT body FROM reports WHERE object = ? AND input = ?");
  const objects = db.prepare("SELECT object FROM reports UNION SELECT object FROM uploads");
  const remove = db.prepare("DELETE FROM reports WHERE object = ?");
  const upload = db.prepare("INSERT INTO uploads (object, digest) VALUES (?, ?) ON CONFLICT DO NOTHING");
  const uploaded = db.prepare("SELECT 1 FROM uploads WHERE object = ? AND digest = ?");
  // A prefix of the key: '0' comes after '/'.
  const uploadedIn = db.prepare(
    "SELECT 1 FROM uploads WHERE object > ? AND object < ? AND digest = ? LIMIT 1",
  );
  const removeUploads = db.prepare("DELETE FROM uploads WHERE object = ?");
  return {
    async put(object, input, report) {
      const body = canonicalJson(report);
      hooked(hook, `report/put/${report.state}`, () => upsert.run(object, input, report.state, body));
    },
    latest(object, input) {
      const row = find.get(object, input) as { body: string } | undefined;
      return row && (JSON.parse(row.body) as WorkReport);
    },
    async addUpload(object, digest) {
      if (uploaded.get(object, digest) !== undefined) return;
      hooked(hook, `report/upload/${object.split("/", 1)[0]}`, () => upload.run(object, digest));
    },
    hasUpload: (object, digest) => uploaded.get(object, digest) !== undefined,
    hasUploadIn: (kind, namespace, digest) =>
      uploadedIn.get(`${kind}/${namespace}/`, `${kind}/${namespace}0`, digest) !== undefined,
    objects: () => (objects.all() as { object: string }[]).map((row) => row.object),
    async forget(object) {
      hooked(hook, "report/forget", () => {
        remove.run(object);
        removeUploads.run(object);
      });
    },
  };
}
