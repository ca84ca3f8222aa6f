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
  });
}
