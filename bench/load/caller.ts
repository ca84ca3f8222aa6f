import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, Metadata } from "@grpc/grpc-js";
import {
  BatchCreateMessagesRequest,
  CreateMessageRequest,
  MessageServiceClient,
} from "../../clients/typescript/src/contract.ts";
import { BODY, type Order, type Pace, type Report } from "./order.ts";

// The process that the load comes from: the generated client alone, on one channel. It carries out
// one order of its parent after the other, and reports what was answered.

const MESSAGE = { body: BODY, author: "ada" };
const TIMEOUT_MS = 10_000;
const metadata = new Metadata();
const clients = new Map<string, MessageServiceClient>();

process.on("message", (order: Order) => {
  carryOut(order).then(
    (report) => process.send!(report),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());

async function carryOut(order: Order): Promise<Report> {
  const call = callOf(order);
  const latencies: number[] = [];
  const failures: Record<string, number> = {};
  const beganMs = performance.now();
  await atPace(order.pace, async (at) => {
    const sentMs = performance.now();
    try {
      await call(at);
      latencies.push(performance.now() - sentMs);
    } catch (error) {
      const { message } = error as Error;
      failures[message] = (failures[message] ?? 0) + 1;
    }
  });
  const ms = performance.now() - beganMs;
  latencies.sort((one, other) => one - other);
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? 0;
  return { answered: latencies.length, ms, p50: at(0.5), p99: at(0.99), failures };
}

async function atPace(pace: Pace, send: (at: number) => Promise<void>): Promise<void> {
  const beganMs = performance.now();
  let sent = 0;
  if ("perSecond" in pace) {
    // What is due is sent whatever was answered: a slow server must not make the next one come
    // later. A loop that never sleeps would keep to the time better, and take a core for it.
    const open: Promise<void>[] = [];
    const total = Math.floor((pace.perSecond * pace.ms) / 1_000);
    while (sent < total) {
      const due = ((performance.now() - beganMs) * pace.perSecond) / 1_000;
      while (sent < Math.min(due, total)) open.push(send(sent++));
      await sleep(1);
    }
    await Promise.all(open);
    return;
  }
  const isOver = () =>
    "calls" in pace ? sent >= pace.calls : performance.now() >= beganMs + pace.ms;
  const loop = async () => {
    while (!isOver()) await send(sent++);
  };
  await Promise.all(Array.from({ length: pace.inFlight }, loop));
}

/** How one call is sent; it has a request id, as every call of the client package has. */
function callOf({ target, applicationToken, chats, batch }: Order): (at: number) => Promise<void> {
  const client =
    clients.get(target) ?? new MessageServiceClient(target, credentials.createInsecure());
  clients.set(target, client);
  const messages = batch === undefined ? [] : new Array(batch).fill(MESSAGE);
  return (at) => {
    const key = { applicationToken, chatNumber: 1 + (at % chats), requestId: randomUUID() };
    const options = { deadline: Date.now() + TIMEOUT_MS };
    return new Promise((resolve, reject) => {
      const done = (error: Error | null) => (error === null ? resolve() : reject(error));
      if (batch === undefined) {
        const request = CreateMessageRequest.fromPartial({ ...key, message: MESSAGE });
        client.createMessage(request, metadata, options, done);
      } else {
        const request = BatchCreateMessagesRequest.fromPartial({ ...key, messages });
        client.batchCreateMessages(request, metadata, options, done);
      }
    });
  };
}
