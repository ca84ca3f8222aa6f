import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { credentials, Metadata } from "@grpc/grpc-js";
import { expect } from "chai";
import {
  CreateMessageRequest,
  MessageServiceClient,
} from "../../clients/typescript/src/contract.ts";
import { State } from "../../gen/parley/v1/state.ts";
import { keepLog, until } from "../support/door.ts";
import {
  type Clients,
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  start,
} from "../support/system.ts";

const MARK = "tell-nobody";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const METHOD = "parley.v1.MessageService/CreateMessage";

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  links: { traceId: string; spanId: string }[];
  status: { code: number };
}

/** A collector of traces that keeps what it is sent, by OTLP over HTTP in JSON. */
class Collector {
  readonly spans: Span[] = [];
  private readonly server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const right = request.method === "POST" && request.url === "/v1/traces";
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString());
      for (const { scopeSpans } of right ? resourceSpans : []) {
        for (const { spans } of scopeSpans) this.spans.push(...spans);
      }
      response.writeHead(right ? 200 : 404, { "content-type": "application/json" }).end("{}");
    });
  });

  async start(): Promise<string> {
    await once(this.server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Those of one trace, by their names. */
  of(traceId: string): Map<string, Span> {
    return new Map(
      this.spans.filter((one) => one.traceId === traceId).map((one) => [one.name, one]),
    );
  }
}

/** Creates a message within a caller's own trace. */
function createIn(target: string, key: object, traceparent?: string): Promise<unknown> {
  const client = new MessageServiceClient(target, credentials.createInsecure());
  const metadata = new Metadata();
  if (traceparent !== undefined) metadata.set("traceparent", traceparent);
  const message = { body: MARK, author: MARK };
  const waitFor = State.STATE_PERSISTED;
  const request = CreateMessageRequest.fromPartial({ ...key, message, waitFor });
  return new Promise((resolve, reject) => {
    client.createMessage(request, metadata, { deadline: Date.now() + 10_000 }, (error, answer) => {
      client.close();
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

async function openChat(clients: Clients) {
  const { application } = await clients.createApplication({ application: { name: MARK } });
  const applicationToken = application!.token;
  await clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
  return { applicationToken, chatNumber: 1 };
}

describeStacks("traces", (stack) => {
  const collector = new Collector();
  let place: Place;
  let worker: Running | undefined;
  let parley: Running;
  let key: { applicationToken: string; chatNumber: number };

  before(async () => {
    place = await freshPlace(stack);
    const env = { PARLEY_OTLP_ENDPOINT: await collector.start(), PARLEY_TRACE_RATIO: "0" };
    // Where it can be another process, the job carries the trace to it.
    if (stack === "production") worker = await start(place, ["worker"], env);
    parley = await start(place, worker === undefined ? ["api", "worker"] : ["api"], env);
    key = await openChat(parley.clients);
  });
  after(async () => {
    await parley?.stop();
    await worker?.stop();
    await collector.stop();
    await place?.drop();
  });

  it("lead from a call through its job to the row and the index, as one", async () => {
    await createIn(parley.target, key, `00-${TRACE}-${CALLER}-01`);
    const names = [METHOD, "accept", "persist", "index"];
    await until("the collector has them", () => names.every((one) => collector.of(TRACE).has(one)));
    const [call, ...steps] = names.map((name) => collector.of(TRACE).get(name)!);
    expect(call!.parentSpanId).to.equal(CALLER);
    for (const step of steps) expect(step.parentSpanId, step.name).to.equal(call!.spanId);
    const [accept, persist, index] = steps.map((one) => BigInt(one.endTimeUnixNano));
    expect(accept! < index! && persist! <= index!).to.equal(true);
    const [link] = collector.of(TRACE).get("persist")!.links;
    const batch = collector.of(link!.traceId).get("batch")!;
    expect(batch.spanId).to.equal(link!.spanId);
    expect(batch.links).to.deep.include({
      ...batch.links[0]!,
      ...{ traceId: TRACE, spanId: call!.spanId },
    });
  });

  it("tell nothing of what was written, and of whom", () => {
    const told = JSON.stringify(collector.spans);
    expect(told).to.contain('"rpc.method"');
    expect(told).not.to.contain(MARK);
    expect(told).not.to.contain(key.applicationToken);
  });

  it("are not begun where the caller said no, or said nothing and chance says no", async () => {
    const other = TRACE.replace(/^0/, "1");
    await createIn(parley.target, key, `00-${other}-${CALLER}-00`);
    await createIn(parley.target, key);
    await createIn(parley.target, key, "nonsense");
    const last = TRACE.replace(/^0/, "2");
    await createIn(parley.target, key, `00-${last}-${CALLER}-01`);
    await until("the last has come", () => {
      return [METHOD, "index"].every((one) => collector.of(last).has(one));
    });
    expect(collector.of(other).size).to.equal(0);
    const calls = collector.spans.filter(({ name }) => name === METHOD);
    expect(calls.map(({ traceId }) => traceId)).to.deep.equal([TRACE, last]);
  });
});

describe("traces (embedded)", () => {
  const kept = keepLog();
  let place: Place;
  let parley: Running | undefined;

  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
    parley = undefined;
  });

  it("are sent before the process stops", async () => {
    const collector = new Collector();
    place = await freshPlace("embedded");
    parley = await start(place, undefined, { PARLEY_OTLP_ENDPOINT: await collector.start() });
    await openChat(parley.clients);
    await parley.stop();
    parley = undefined;
    await collector.stop();
    const names = collector.spans.map(({ name }) => name);
    expect(names).to.include("parley.v1.ChatService/CreateChat").and.to.include("persist");
  });

  it("are dropped with one warning while the collector is away, and hold nothing up", async () => {
    const collector = new Collector();
    const endpoint = await collector.start();
    await collector.stop();
    place = await freshPlace("embedded");
    const { log } = kept;
    parley = await start(place, undefined, { PARLEY_OTLP_ENDPOINT: endpoint }, { log });
    const key = await openChat(parley.clients);
    const away = () => kept.text().match(/the collector of traces is away/g)?.length ?? 0;
    await until("the exporter gives up", () => away() === 1);
    const { clients } = parley;
    const create = () => clients.createMessage({ ...key, message: { body: "x", author: "x" } });
    await Promise.all(Array.from({ length: 50 }, create));
    const beganMs = performance.now();
    await parley.stop();
    parley = undefined;
    expect(performance.now() - beganMs).to.be.lessThan(5_000);
    expect(away()).to.equal(1);
  });
});
