import { setTimeout as sleep } from "node:timers/promises";
import type { Chat, Message, NumberRange } from "../../clients/typescript/src/contract.ts";
import { toConfig } from "../../src/config.ts";
import type { Stack } from "../../src/core/ports.ts";
import { openElastic } from "../../src/stacks/elastic/client.ts";
import { openStack } from "../../src/stacks/open.ts";
import { runCommand } from "./command.ts";
import type { Answer } from "./load.ts";
import { type Clients, openClients, type Place, refusalIn, testLog } from "./system.ts";

const POLL_MS = 50;

/** What became of the answers of a load, as they are counted in the table of a chaos run. */
export interface Audit {
  answers: number;
  /** Answers whose number is another message now, or none, and no void. */
  lost: number;
  /** Answers that are gone, and whose number is a void. */
  void: number;
  /** Chats that are there and were said not to be. */
  denied: number;
  /** Numbers that two different answers have. */
  reissued: number;
  /** Answers whose message is there under another number as well. */
  doubled: number;
  /** Numbers up to the last that are neither a message nor a void. */
  unexplained: number;
  /** Messages that a row has and the index has not, or the other way round. */
  unindexed: number;
  parked: number;
  /** Counts that are not the number of rows after a sync. */
  miscounted: number;
}

export const CLEAN: Omit<Audit, "answers" | "void"> = {
  lost: 0,
  denied: 0,
  reissued: 0,
  doubled: 0,
  unexplained: 0,
  unindexed: 0,
  parked: 0,
  miscounted: 0,
};

/** Returns when every job was applied and every gap of the index is closed. */
export async function drain(stack: Stack, maxMs: number): Promise<void> {
  const endMs = performance.now() + maxMs;
  for (;;) {
    const { jobs } = await stack.intake.backlog();
    const parked = jobs === 0 ? 0 : (await stack.queue.listParked(1_000)).length;
    const gaps = jobs === parked ? await stack.store.listGaps(1) : [];
    if (jobs === parked && gaps.length === 0) return;
    if (performance.now() > endMs) throw new Error(`${jobs} jobs are not applied in time`);
    await sleep(POLL_MS);
  }
}

/** Looks at everything that is left, with all parts up again and nobody at work. */
export async function audit(
  place: Place,
  load: {
    target: string;
    applicationToken: string;
    answers: Answer[];
    missing: ReadonlySet<number>;
  },
  drainMs = 30_000,
): Promise<Audit> {
  const stack = await openStack(toConfig(place.env), {
    log: testLog,
    processId: "audit",
    lenient: false,
  });
  const clients = openClients(load.target);
  try {
    await drain(stack, drainMs);
    await seeded(stack, drainMs);
    await refresh(place);
    const found: Audit = { answers: load.answers.length, void: 0, ...CLEAN };
    found.parked = (await stack.queue.listParked(1_000)).length;
    const synced = await runCommand(place.env, "sync-counts");
    if (synced.code !== 0) throw new Error(synced.stderr);
    const { applicationToken } = load;
    const chats = await listChats(clients, applicationToken);
    const { application } = await clients.getApplication({ applicationToken });
    if (application!.chatsCount !== chats.length) found.miscounted++;
    const lostChats = await stack.ledger.listVoids({ applicationToken }, EVERYTHING, 10_000);
    const numbers = new Set([...chats.map((one) => one.number), ...chatsOf(load.answers)]);
    explain(found, {
      items: chats.map((one) => ({ number: one.number, body: "" })),
      voids: lostChats,
      answers: load.answers
        .filter((one) => one.number === 0)
        .map((one) => ({ number: one.chatNumber, body: "", requestId: one.requestId })),
    });
    // A chat that is there must never have been said to be missing.
    found.denied += chats.filter((one) => load.missing.has(one.number)).length;
    const answersOf = Map.groupBy(
      load.answers.filter((one) => one.number > 0),
      (one) => one.chatNumber,
    );
    const chatOf = new Map(chats.map((one) => [one.number, one]));
    for (const chatNumber of numbers) {
      const key = { applicationToken, chatNumber };
      const answers = answersOf.get(chatNumber) ?? [];
      // A chat that was lost before it was stored took along what nobody had stored of it either.
      const isLost = lostChats.some((one) => isWithin(one, chatNumber));
      const listed = await listMessages(clients, key).catch((error: unknown) => {
        if (!isLost || refusalIn(error).reason !== "CHAT_NOT_FOUND") throw error;
      });
      if (listed === undefined) {
        found.void += answers.length;
        continue;
      }
      const { messages, voids } = listed;
      explain(found, { items: messages, voids, answers });
      const extent = await stack.index.extent(key);
      found.unindexed += Math.abs(extent.count - messages.length);
      const chat = chatOf.get(chatNumber);
      if ((chat?.messagesCount ?? 0) !== messages.length) found.miscounted++;
    }
    return found;
  } finally {
    clients.close();
    await stack.stop();
  }
}

/** Returns when a scheduler has seeded every counter in the epoch of this moment. */
async function seeded({ ledger, store }: Stack, maxMs: number): Promise<void> {
  const endMs = performance.now() + maxMs;
  for (;;) {
    const counters = await ledger.listUnseeded(1_000);
    // A chat that was lost before it was stored has nothing to be seeded for.
    const there = await Promise.all(
      counters.map(async ({ applicationToken, chatNumber }) => {
        if (chatNumber === undefined) return true;
        return (await store.findChat({ applicationToken, chatNumber })) !== undefined;
      }),
    );
    if (!there.includes(true)) return;
    if (performance.now() > endMs) throw new Error("counters are not seeded in time");
    await sleep(POLL_MS);
  }
}

/** What was indexed before can be found after it. */
async function refresh({ env }: Place): Promise<void> {
  const client = openElastic(toConfig(env).PARLEY_ELASTICSEARCH_URL);
  await client.indices.refresh({ index: env.PARLEY_ELASTICSEARCH_INDEX! });
  await client.close();
}

const EVERYTHING: NumberRange = { firstNumber: 1, lastNumber: Number.MAX_SAFE_INTEGER };

interface Numbered {
  number: number;
  body: string;
}

/** Holds the answers of one counter against what is there under its numbers. */
function explain(
  found: Audit,
  of: { items: Numbered[]; voids: NumberRange[]; answers: (Numbered & { requestId: string })[] },
): void {
  const items = new Map(of.items.map((one) => [one.number, one.body]));
  const isVoid = (number: number) => of.voids.some((range) => isWithin(range, number));
  const given = new Map<number, string>();
  const bodies = new Set<string>();
  for (const { number, body, requestId } of of.answers) {
    const before = given.get(number);
    if (before !== undefined && before !== requestId) found.reissued++;
    given.set(number, requestId);
    if (items.get(number) === body) continue;
    if (!items.has(number) && isVoid(number)) found.void++;
    else found.lost++;
  }
  for (const { body } of of.items) {
    if (body !== "" && bodies.has(body)) found.doubled++;
    bodies.add(body);
  }
  const last = Math.max(0, ...items.keys(), ...of.answers.map((one) => one.number));
  for (let number = 1; number <= last; number++) {
    if (items.has(number) === isVoid(number)) found.unexplained++;
  }
}

function isWithin({ firstNumber, lastNumber }: NumberRange, number: number): boolean {
  return number >= firstNumber && number <= lastNumber;
}

function chatsOf(answers: Answer[]): number[] {
  return answers.filter((one) => one.number === 0).map((one) => one.chatNumber);
}

async function listChats(clients: Clients, applicationToken: string): Promise<Chat[]> {
  const chats: Chat[] = [];
  let pageToken = "";
  do {
    const page = await clients.listChats({ applicationToken, pageSize: 1_000, pageToken });
    chats.push(...page.chats);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return chats;
}

async function listMessages(
  clients: Clients,
  key: { applicationToken: string; chatNumber: number },
): Promise<{ messages: Message[]; voids: NumberRange[] }> {
  const messages: Message[] = [];
  const voids: NumberRange[] = [];
  let pageToken = "";
  do {
    const page = await clients.listMessages({ ...key, pageSize: 1_000, pageToken });
    messages.push(...page.messages);
    voids.push(...page.voids);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return { messages, voids };
}
