import { request } from "node:http";
import { expect } from "chai";
import { State } from "../../gen/parley/v1/state.ts";
import { METRICS } from "../../src/metric-names.ts";
import { until } from "../support/door.ts";
import { OwnRedis } from "../support/own-redis.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

const METERED = { PARLEY_METRICS_ADDRESS: "127.0.0.1:0", PARLEY_REPAIR_CRON: "* * * * * *" };
const MARK = "tell-nobody";

describeStacks("metrics", (stack) => {
  let place: Place;
  let parley: Running;
  let redis: OwnRedis | undefined;
  let applicationToken: string;

  before(async () => {
    place = await freshPlace(stack);
    // The production stack has a Redis that can be taken away.
    if (stack === "production") redis = await OwnRedis.start();
    const own: Record<string, string> = redis === undefined ? {} : { PARLEY_REDIS_URL: redis.url };
    parley = await start(place, ["api", "worker", "scheduler"], { ...METERED, ...own });
    const { application } = await parley.clients.createApplication({
      application: { name: MARK },
    });
    applicationToken = application!.token;
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    for (let at = 0; at < 3; at++) {
      const message = { body: MARK, author: MARK };
      const waitFor = State.STATE_SEARCHABLE;
      await parley.clients.createMessage({ applicationToken, chatNumber: 1, message, waitFor });
    }
    await refusalOf(parley.clients.getMessage({ applicationToken, chatNumber: 1, number: 9 }));
  });
  after(async () => {
    await parley?.stop();
    await redis?.stop();
    await place?.drop();
  });

  const port = () => parley.system.metrics!.port;

  it("count the calls, jobs and batches of this system and of no other", async () => {
    const text = await scrape(port());
    const method = (name: string) => `method="parley.v1.MessageService/${name}"`;
    const of = (name: string, ...labels: string[]) => sampleOf(text, name, ...labels);
    expect(of("parley_calls_total", method("CreateMessage"), 'code="OK"')).to.equal(3);
    expect(of("parley_calls_total", method("GetMessage"), 'code="NOT_FOUND"')).to.equal(1);
    expect(of("parley_call_duration_seconds_count", method("CreateMessage"))).to.equal(3);
    expect(of("parley_calls_in_flight", method("CreateMessage"))).to.equal(0);
    expect(of("parley_jobs_tried_total", 'outcome="inserted"')).to.equal(4);
    expect(of("parley_jobs_tried_total", 'outcome="failed"')).to.equal(0);
    expect(of("parley_batch_jobs_sum")).to.equal(4);
    expect(of("parley_accepted_to_persisted_seconds_count", 'kind="message"')).to.equal(3);
    expect(of("parley_accepted_to_searchable_seconds_count")).to.equal(3);
    expect(of("parley_backlog_bound")).to.equal(parley.config.PARLEY_BACKLOG_MAX);
    expect(of("parley_jobs", 'place="parked"')).to.equal(0);
    expect(of("parley_part_up", 'part="database"')).to.equal(1);
    expect(of("parley_epoch")).to.equal(1);
  });

  it("are those of the table, all of them, and tell nothing of a caller", async () => {
    let text = "";
    await until("a chore runs", async () => {
      text = await scrape(port());
      return /^parley_chore_done_total/m.test(text);
    });
    const told = [...text.matchAll(/^# TYPE (parley_\S+) (\S+)$/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    const table = Object.entries(METRICS).map(([name, { type }]) => [name, type]);
    expect(Object.fromEntries(told)).to.deep.equal(Object.fromEntries(table));
    const ours = text.split("\n").filter((line) => line.startsWith("parley_"));
    const labels = new Set([...ours.join("\n").matchAll(/[{,](\w+)="/g)].map((match) => match[1]!));
    labels.delete("le");
    const known = Object.values(METRICS).flatMap((one) => one.labels ?? []);
    expect([...labels].sort()).to.deep.equal([...new Set(known)].sort());
    expect(text)
      .to.match(/^process_cpu_seconds_total \d/m)
      .and.to.contain("nodejs_version_info");
    expect(text).not.to.contain(applicationToken);
    expect(text).not.to.contain(MARK);
  });

  it("answer GET /metrics and nothing else", async () => {
    const url = `http://127.0.0.1:${port()}`;
    expect((await fetch(url)).status).to.equal(404);
    expect((await fetch(`${url}/metrics/x`)).status).to.equal(404);
    expect((await fetch(`${url}/metrics`, { method: "POST", body: "x" })).status).to.equal(405);
    const long = new Promise<number | undefined>((resolve, reject) => {
      const headers = { "x-long": "x".repeat(16_000) };
      request(`${url}/metrics`, { headers }, (answer) => resolve(answer.statusCode))
        .on("error", reject)
        .end();
    });
    expect(await long).to.equal(431);
  });

  // The embedded stack has no part that can be away.
  if (stack === "embedded") return;
  it("answer while Redis is away, without the gauges that cannot be read", async () => {
    await redis!.kill();
    let text = "";
    await until("Redis is found to be away", async () => {
      text = await scrape(port());
      return sampleOf(text, "parley_part_up", 'part="counters"') === 0;
    });
    expect(text).not.to.match(/^parley_(jobs|epoch|backlog_used|oldest_job_age_seconds)\b/m);
    expect(sampleOf(text, "parley_part_up", 'part="database"')).to.equal(1);
    expect(text).to.match(/^parley_search_gaps 0$/m);
  });
});

async function scrape(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(answer.status).to.equal(200);
  expect(answer.headers.get("content-type")).to.match(/^text\/plain; version=0\.0\.4/);
  return answer.text();
}

/** Of the one sample that has all of these labels. */
function sampleOf(text: string, name: string, ...labels: string[]): number {
  const samples = text
    .split("\n")
    .filter((line) => line.split(/[{ ]/, 1)[0] === name)
    .filter((line) => labels.every((label) => line.includes(label)));
  expect(samples, `${name} ${labels.join()}`).to.have.length(1);
  return Number(samples[0]!.split(" ").pop());
}
