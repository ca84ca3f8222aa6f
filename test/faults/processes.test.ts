import { expect } from "chai";
import { audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy } from "../support/deployment.ts";
import { Load } from "../support/load.ts";
import { pick, randomFrom, seed } from "../support/random.ts";
import { productionMissing } from "../support/servers.ts";
import { whole } from "./whole.ts";

const production = productionMissing === undefined ? describe : describe.skip;

production("processes that die under load", function () {
  this.timeout(whole ? 300_000 : 90_000);
  const random = randomFrom(seed);
  let parley: Deployment;
  let load: Load;

  async function begin(sizes: Parameters<typeof deploy>[0]): Promise<void> {
    parley = await deploy(sizes, whole ? { PARLEY_STALL_MS: "" } : {});
    load = new Load(
      parley.apis.map((api) => api.target),
      random,
    );
    await load.start(16);
  }
  afterEach(async () => {
    load?.close();
    await parley?.stop();
  });

  async function result() {
    await load.stop();
    const { applicationToken, answers, missing } = load;
    const { target } = parley.apis[0]!;
    return audit(parley.place, { target, applicationToken, answers, missing });
  }

  it("lose no answer of an API that is killed, skip no number, and repeat none", async () => {
    await begin({ apis: 2 });
    for (let kill = 0; kill < (whole ? 10 : 3); kill++) {
      await load.answered(200 + Math.floor(random() * 200));
      const api = pick(random, parley.apis);
      await api.kill();
      await load.answered(50);
      await api.start();
    }
    await load.answered(200);
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });

  it("leave what a killed worker had to the others, once", async () => {
    await begin({ workers: 2 });
    for (let kill = 0; kill < (whole ? 10 : 3); kill++) {
      await load.answered(300 + Math.floor(random() * 300));
      await parley.workers[kill % 2]!.kill();
      await load.answered(100);
      if (whole || kill < 1) await parley.workers[kill % 2]!.start();
      else break;
    }
    // The last one stays dead: what it had comes back without help, within 30 s.
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });

  it("stop in time when they are told to, and lose no answer", async () => {
    await begin({ apis: 2, workers: 2, schedulers: 1 });
    for (const one of [parley.apis[0]!, parley.workers[0]!, parley.schedulers[0]!]) {
      await load.answered(300);
      const { code, ms } = await one.stop();

      expect(code).to.equal(0);
      expect(ms).to.be.below(15_000);
      await one.start();
    }
    await load.answered(300);
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });
});
