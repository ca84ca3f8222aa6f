import { expect } from "chai";
import fc from "fast-check";
import { Wire } from "../contract/wire.ts";
import { randomFrom, runs, seed } from "../support/random.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place } from "../support/system.ts";
import type { Mode } from "./losses.ts";
import { World } from "./numbering-world.ts";

const production = productionMissing === undefined ? describe : describe.skip;

production("numbers, with the steps of all processes and faults in any order", () => {
  let place: Place;
  let wire: Wire;

  before(async () => {
    place = await freshPlace("production");
    wire = await new Wire(place.env.PARLEY_REDIS_URL!).open();
  });
  after(async () => {
    await wire?.close();
    await place?.drop();
  });

  const what: Record<Mode, string> = {
    durable: "are dense and none is void while Redis keeps what it said",
    everysec: "are given once, and every one is explained, where Redis loses its last writes",
    cut: "are given once, and every one is explained, where the end of Redis's file is lost",
    old: "are given once, and every one is explained, where older copies of Redis are put back",
  };
  for (const [mode, title] of Object.entries(what) as [Mode, string][]) {
    it(title, async function () {
      this.timeout(60_000 * runs);
      const total: Record<string, number> = {};
      const property = fc.asyncProperty(fc.noShrink(fc.nat()), async (drawn) => {
        const world = await World.open(place, { mode, random: randomFrom(drawn), wire });
        try {
          await world.live(900);
        } finally {
          await world.close();
        }
        expect(world.violations.slice(0, 5).join("\n")).to.equal("");
        expect(world.count.answered).to.be.above(5);
        for (const [name, value] of Object.entries(world.count)) {
          total[name] = (total[name] ?? 0) + value;
        }
      });
      await fc.assert(property, { seed, numRuns: 6 * runs, endOnFailure: true });
      console.log(`      ${JSON.stringify(total)}`);
    });
  }
});
