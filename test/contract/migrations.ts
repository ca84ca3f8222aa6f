import { expect } from "chai";
import { migrate, pendingMigrations } from "../../src/stacks/sql/migrate.ts";
import { closeOrm, type Orm } from "../../src/stacks/sql/orm.ts";

/** An empty database, opened as often as a stack has processes. */
export interface Empty {
  orms: Orm[];
  drop(): Promise<void>;
}

/** What migrations do. `open` makes an empty database; `missing` says why there is none. */
export function migrationsContract(
  name: string,
  open: () => Promise<Empty>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`migrations: ${name}`, () => {
    let empty: Empty;
    let orm: Orm;
    let names: string[];

    before(async () => {
      empty = await open();
      orm = empty.orms[0]!;
      names = await pendingMigrations(orm);
    });
    after(async () => {
      for (const one of empty?.orms ?? []) await closeOrm(one);
      await empty?.drop();
    });

    it("are pending, in order, in a database that has nothing", async () => {
      expect(names[0]).to.equal("0001-tables");
      expect([...names].sort()).to.deep.equal(names);
      expect(await pendingMigrations(orm), "asking changes nothing").to.deep.equal(names);
    });

    it("run once, also when several processes run them at once", async () => {
      const ran = await Promise.all(empty.orms.map((one) => migrate(one)));
      expect(ran.flat()).to.deep.equal(names);
      for (const one of empty.orms) expect(await pendingMigrations(one)).to.deep.equal([]);
      expect(await migrate(orm)).to.deep.equal([]);
    });

    it("make the tables that the entities describe", async () => {
      const sql = await orm.mikro.schema.getUpdateSchemaSQL({ wrap: false });
      expect(sql).to.equal("");
    });

    it("tell of counts that were copied before which values they come from", async () => {
      const older = await open();
      const [one] = older.orms;
      try {
        const before = names[names.indexOf(names.find((each) => each.endsWith("deletions"))!) - 1]!;
        await one!.mikro.migrator.up({ to: before });
        const run = (sql: string) => one!.mikro.em.getConnection().execute(sql);
        const time = one!.dialect === "sqlite" ? "1" : "'2026-01-01'";
        await run(`insert into applications (id, token, name, chats_count, create_time, update_time)
          values (1, 'token', 'x', 0, ${time}, ${time})`);
        await run(`insert into chats (application_id, number, messages_count, create_time,
          count_time) values (1, 1, 5, ${time}, ${time}), (1, 2, 0, ${time}, null)`);
        await run("insert into voids values (1, 1, 2, 4), (1, 1, 9, 9), (1, 2, 1, 64)");
        await migrate(one!);
        const rows = await run("select counted_value as value from chats order by number");
        expect(rows).to.deep.equal([{ value: 9 }, { value: 0 }]);
      } finally {
        for (const orm of older.orms) await closeOrm(orm);
        await older.drop();
      }
    });
  });
}
