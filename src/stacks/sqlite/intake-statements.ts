import type { ExternalName } from "../../core/intake.ts";
import type { IntakeDb } from "./intake-db.ts";

interface Slice {
  startMs: number;
  beforeMs: number;
}

/** Every statement of the intake, prepared once and named after what it does. */
export function prepareIntake(db: IntakeDb) {
  const ledger = db.prepare("SELECT epoch, accepts, jobs FROM ledger");
  const install = db.prepare("UPDATE ledger SET epoch = ?1, accepts = 0 WHERE epoch < ?1");
  const counter = db.prepare("SELECT value, ceiling, ceiling_epoch FROM counters WHERE key = ?");
  const countLedger = db.prepare("UPDATE ledger SET accepts = ?, jobs = jobs + ?");
  const countCounter = db.prepare("UPDATE counters SET value = ?, changed = ? WHERE key = ?");
  const insertCounter = db.prepare(
    "INSERT INTO counters (key, value) VALUES (?, 0) ON CONFLICT DO NOTHING",
  );
  const seed = db.prepare(`
    INSERT INTO counters (key, value, ceiling, ceiling_epoch, changed) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, ceiling = excluded.ceiling,
      ceiling_epoch = excluded.ceiling_epoch, changed = coalesce(excluded.changed, changed)`);
  const seedEpoch = db.prepare("SELECT epoch FROM seeds WHERE key = ?");
  const forgetSeed = db.prepare("DELETE FROM seeds WHERE key = ?");
  const noteSeed = db.prepare(
    "INSERT INTO seeds VALUES (?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
  );
  const raise = db.prepare(`
    UPDATE counters SET ceiling = ?1 WHERE key = ?2 AND ceiling_epoch = ?3 AND ceiling < ?1`);
  const changed = db.prepare(`
    SELECT key, changed FROM counters WHERE changed IS NOT NULL AND key > ? AND key <= ?
    ORDER BY key LIMIT ?`);
  const isChanged = db.prepare("SELECT 1 FROM counters WHERE key = ? AND changed IS NOT NULL");
  const forget = db.prepare("UPDATE counters SET changed = NULL WHERE key = ? AND changed = ?");
  const remove = db.prepare("DELETE FROM counters WHERE key = ?");
  const removeRange = db.prepare("DELETE FROM counters WHERE key > ? AND key < ?");

  return {
    ledger: () => ledger.get() as { epoch: number; accepts: number; jobs: number },
    install: (epoch: number) => install.run(epoch).changes === 1,
    counter: (key: string) =>
      counter.get(key) as
        | { value: number; ceiling: number | null; ceiling_epoch: number | null }
        | undefined,
    /** After some jobs more, the last of which has this number. */
    count: (given: {
      key: string;
      number: number;
      epoch: number;
      accept: number;
      jobs: number;
    }) => {
      countLedger.run(given.accept, given.jobs);
      countCounter.run(given.number, `${given.epoch}:${given.accept}`, given.key);
    },
    insertCounter: (key: string) => insertCounter.run(key),
    seed: (given: { key: string; epoch: number; start: number; ceiling: number }) => {
      const { key, start, ceiling, epoch } = given;
      seed.run(key, start, ceiling, epoch, start === 0 ? null : `${epoch}:seed:${start}`);
      noteSeed.run(key, epoch);
    },
    forgetSeed: (key: string) => forgetSeed.run(key),
    /** True where a counter was seeded in the epoch; whether its row is still there or not. */
    wasSeeded: (key: string, epoch: number) =>
      (seedEpoch.get(key) as { epoch: number } | undefined)?.epoch === epoch,
    raise: (given: { key: string; epoch: number; ceiling: number }) =>
      raise.run(given.ceiling, given.key, given.epoch),
    changed: (page: { after: string; upTo: string; limit: number }) =>
      changed.all(page.after, page.upTo, page.limit) as { key: string; changed: string }[],
    isChanged: (key: string) => isChanged.get(key) !== undefined,
    forget: (key: string, change: string) => forget.run(key, change),
    remove: (key: string) => remove.run(key),
    removeChats: (key: string) => removeRange.run(`${key}-`, `${key}.`),
    ...prepareJobs(db),
    ...prepareMarks(db),
    ...prepareRequests(db),
    ...prepareNames(db),
  };
}

function prepareJobs(db: IntakeDb) {
  const insertJob = db.prepare("INSERT INTO jobs (id, data, create_ms) VALUES (?, ?, ?)");
  const job = db.prepare("SELECT data, parked FROM jobs WHERE id = ?");

  return {
    insertJob: (job: { id: string; data: string; createMs: number }) =>
      insertJob.run(job.id, job.data, job.createMs),
    job: (id: string) => job.get(id) as { data: string; parked: number } | undefined,
  };
}

function prepareMarks(db: IntakeDb) {
  const mark = db.prepare("SELECT mark FROM marks WHERE key = ?");
  const setMark = db.prepare("INSERT OR REPLACE INTO marks (key, mark) VALUES (?, ?)");
  const dropMark = db.prepare("DELETE FROM marks WHERE key = ?");

  return {
    mark: (key: string) => (mark.get(key) as { mark: string } | undefined)?.mark,
    setMark: (key: string, value: string) => setMark.run(key, value),
    dropMark: (key: string) => dropMark.run(key),
  };
}

function prepareNames(db: IntakeDb) {
  const named = db.prepare(
    "SELECT number FROM external_ids WHERE application = ? AND external_id = ?",
  );
  const setName = db.prepare("INSERT OR REPLACE INTO external_ids VALUES (?, ?, ?)");
  const freeName = db.prepare(
    "DELETE FROM external_ids WHERE application = ? AND external_id = ? AND number = ?",
  );
  const dropNames = db.prepare("DELETE FROM external_ids WHERE application = ?");

  return {
    named: ({ applicationToken, externalId }: ExternalName) =>
      (named.get(applicationToken, externalId) as { number: number } | undefined)?.number,
    setName: ({ applicationToken, externalId }: ExternalName, number: number) =>
      setName.run(applicationToken, externalId, number),
    freeName: ({ applicationToken, externalId }: ExternalName, number: number) =>
      freeName.run(applicationToken, externalId, number),
    dropNames: (applicationToken: string) => dropNames.run(applicationToken),
  };
}

function prepareRequests(db: IntakeDb) {
  const request = db.prepare(`
    SELECT number, create_ms, digest FROM requests WHERE start_ms IN (?, ?) AND field = ?`);
  const ids = db.prepare("SELECT sum(ids) AS ids FROM slices WHERE start_ms IN (?, ?)");
  const insert = db.prepare("INSERT INTO requests VALUES (?, ?, ?, ?, ?)");
  const countSlice = db.prepare(`
    INSERT INTO slices VALUES (?, 1) ON CONFLICT DO UPDATE SET ids = ids + 1`);
  const oldest = db.prepare("SELECT start_ms FROM slices WHERE start_ms < ? LIMIT 1");
  const expire = db.prepare(`
    DELETE FROM requests WHERE (start_ms, field) IN
      (SELECT start_ms, field FROM requests WHERE start_ms = ? LIMIT ?)`);
  const dropSlice = db.prepare("DELETE FROM slices WHERE start_ms = ?");

  return {
    request: (slice: Slice, field: Buffer) =>
      request.get(slice.startMs, slice.beforeMs, field) as
        | { number: number; create_ms: number; digest: string }
        | undefined,
    requestIds: (slice: Slice) =>
      (ids.get(slice.startMs, slice.beforeMs) as { ids: number | null }).ids ?? 0,
    remember: (
      slice: Slice,
      given: { field: Buffer; number: number; createMs: number; digest: string },
    ) => {
      insert.run(slice.startMs, given.field, given.number, given.createMs, given.digest);
      countSlice.run(slice.startMs);
    },
    /** Takes away some ids of a slice that is no longer looked at. */
    expire: (slice: Slice, limit: number) => {
      const old = oldest.get(slice.beforeMs) as { start_ms: number } | undefined;
      if (old === undefined) return;
      if (Number(expire.run(old.start_ms, limit).changes) < limit) dropSlice.run(old.start_ms);
    },
  };
}
