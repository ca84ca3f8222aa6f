import { expect } from "chai";
import type { ParleyError } from "../../src/errors.ts";
import { openElastic } from "../../src/stacks/elastic/client.ts";
import { ElasticSearchIndex } from "../../src/stacks/elastic/search-index.ts";
import { closeOrm, openMysqlOrm } from "../../src/stacks/sql/orm.ts";
import { SqlStore } from "../../src/stacks/sql/store.ts";
import { InProcessWakeup } from "../../src/stacks/sqlite/wakeup.ts";
import { Applier } from "../../src/worker/apply.ts";
import { messageJob } from "../contract/jobs.ts";
import { testLog } from "../support/system.ts";

/** Nothing listens there. */
const NOWHERE = "127.0.0.1:1";

describe("a batch that must not wait", () => {
  it("is given back at once where the database is away, others are held", async () => {
    const orm = await openMysqlOrm({ url: `mysql://parley:parley@${NOWHERE}/parley`, poolMax: 2 });
    const client = openElastic([`http://${NOWHERE}`]);
    const stopping = new AbortController();
    const applier = new Applier({
      store: new SqlStore({ orm, processId: "one" }),
      index: new ElasticSearchIndex(client, "parley-test"),
      wakeup: new InProcessWakeup(),
      log: testLog,
      stopped: stopping.signal,
    });
    const jobs = [messageJob({ applicationToken: "nobody's", chatNumber: 1 }, 1)];
    const reasonOf = (work: Promise<unknown>) =>
      work.then(
        () => "it was applied",
        (error: ParleyError) => error.reason ?? error.name,
      );
    const held = reasonOf(applier.apply(jobs, { wait: true }));
    const given = reasonOf(applier.apply(jobs, { wait: false }));
    expect(await Promise.race([held, given])).to.equal("STORE_UNAVAILABLE");
    stopping.abort();
    expect(await held).to.equal("AbortError");
    await client.close();
    await closeOrm(orm);
  });
});
