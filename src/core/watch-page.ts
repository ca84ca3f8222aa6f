import type { Message } from "../../gen/parley/v1/message.ts";
import { type NumberRange, State } from "../../gen/parley/v1/state.ts";
import { isUnavailable } from "../errors.ts";
import { requireChat } from "./chats.ts";
import type { Core } from "./core.ts";
import { findJobs } from "./deletion.ts";
import { type DensePage, densePage } from "./dense.ts";
import { VOID_RANGES_MAX, WATCH_PAGE_ROWS, WATCH_PENDING_MAX } from "./limits.ts";
import { sourceOf } from "./messages.ts";
import type { ChatKey } from "./ports.ts";
import { type Position, rangesOf, type WatchEvent } from "./watch-position.ts";

/** How a page is read. */
export interface Look {
  nowMs: number;
  /** How long a number may wait to be stored before it is told as pending. */
  pendingMs: number;
  /**
   * True where a hint said that there are rows: where they follow on without a hole, voids, jobs
   * and the chat itself are left to a later look.
   */
  quick: boolean;
  signal: AbortSignal;
}

export interface WatchPage {
  events: WatchEvent[];
  /** True where more is there already. */
  more: boolean;
}

const NOTHING: DensePage<Message> = { items: [], voids: [], next: undefined };

/**
 * Reads what follows a position. Changes are read after the rows: so each row is known to be as it
 * was after all of them or an earlier one, and none that is in a row comes after that row again.
 */
export async function readOn(
  core: Core,
  key: ChatKey,
  position: Position,
  look: Look,
): Promise<WatchPage> {
  const { signal } = look;
  const late = await findLate(core, key, [...position.pending], look);
  const next = await findNext(core, key, position, look);
  const page = { after: position.change, limit: WATCH_PAGE_ROWS, signal };
  const listed = await core.store.listChanges(key, page);
  const changes = listed.map((one): WatchEvent => ({ kind: "change", ...one }));
  // With more changes to come nobody knows which of them are in the rows, so these come later.
  if (listed.length === WATCH_PAGE_ROWS) return { events: changes, more: true };
  const asOf = listed[listed.length - 1]?.changeNumber ?? position.change;
  const newest = new Map(listed.map(({ message }) => [message.number, message]));
  const found = [...late, ...next.events].map((event) => {
    if (event.kind !== "message") return event;
    return { ...event, asOf, message: newest.get(event.message.number) ?? event.message };
  });
  return { events: [...changes, ...found], more: next.more };
}

function messageEvent(message: Message): WatchEvent {
  return { kind: "message", message, asOf: 0 };
}

/** The numbers above the position, up to one of which nothing can be told yet. */
async function findNext(
  core: Core,
  key: ChatKey,
  position: Position,
  look: Look,
): Promise<WatchPage> {
  const { quick, signal } = look;
  const bounds = {
    after: position.number,
    before: Number.POSITIVE_INFINITY,
    order: "asc",
    limit: WATCH_PAGE_ROWS,
    signal,
  } as const;
  if (quick) {
    const rows = await core.store.listMessages(key, bounds);
    const last = rows[rows.length - 1]?.number;
    if (last === position.number + rows.length) {
      return { events: rows.map(messageEvent), more: rows.length === WATCH_PAGE_ROWS };
    }
  }
  const call = { nowMs: look.nowMs, deadlineMs: Number.POSITIVE_INFINITY, signal };
  const page = await densePage(core, sourceOf(core, key), bounds, call).catch((error) => {
    // Without the counters nobody knows of jobs; what is held up by them is held until then.
    if (isUnavailable(error) && error.reason === "COUNTERS_UNAVAILABLE") return NOTHING;
    throw error;
  });
  // What is read of a chat that is gone is nothing, which must not look like its end.
  if (page.next === undefined) await requireChat(core, key, call);
  return eventsOf(page, position, look);
}

/** A page as events: its rows and voids, and the jobs that are not waited for any more. */
function eventsOf(page: DensePage<Message>, position: Position, look: Look): WatchPage {
  const entries = [
    ...page.voids.map((range) => ({ range, message: undefined })),
    ...page.items.map((message) => ({ range: rangesOf([message.number])[0]!, message })),
  ].sort((one, other) => one.range.firstNumber - other.range.firstNumber);
  const events: WatchEvent[] = [];
  let number = position.number;
  let room = WATCH_PENDING_MAX - position.pending.size;
  for (const { range, message } of entries) {
    if (range.lastNumber <= number) continue;
    const held = { events, more: false };
    if (range.firstNumber > number + 1) return held;
    if (message === undefined) {
      const firstNumber = number + 1;
      events.push({ kind: "void", range: { firstNumber, lastNumber: range.lastNumber } });
    } else if (message.state === State.STATE_PERSISTED) events.push(messageEvent(message));
    else if (isPending(message, look) && room-- > 0) pushPending(events, range);
    else return held;
    number = range.lastNumber;
  }
  return { events, more: page.next !== undefined && number > position.number };
}

function isPending({ state, createTime }: Message, { nowMs, pendingMs }: Look): boolean {
  return state === State.STATE_FAILED || nowMs - createTime!.getTime() >= pendingMs;
}

function pushPending(events: WatchEvent[], range: NumberRange): void {
  const last = events[events.length - 1];
  if (last?.kind === "pending") last.range.lastNumber = range.lastNumber;
  else events.push({ kind: "pending", range });
}

/** What became of numbers that were told as pending: rows, or voids. */
async function findLate(
  core: Core,
  key: ChatKey,
  pending: number[],
  { quick, signal }: Look,
): Promise<WatchEvent[]> {
  const rows = await core.store.findMessages(key, pending, signal);
  const events = rows.map(messageEvent);
  const stored = new Set(rows.map((row) => row.number));
  const left = pending.filter((number) => !stored.has(number));
  if (left.length === 0 || quick) return events;
  const voids = await findVoid(core, key, left).catch((error) => {
    if (isUnavailable(error) && error.reason === "COUNTERS_UNAVAILABLE") return [];
    throw error;
  });
  return [...events, ...rangesOf(voids).map((range): WatchEvent => ({ kind: "void", range }))];
}

/**
 * Which of the numbers are void. A row or a job wins over a void, and jobs become rows: so the jobs
 * are looked for between two looks at the voids, as densePage does it.
 */
async function findVoid(core: Core, key: ChatKey, numbers: number[]): Promise<number[]> {
  const range = { firstNumber: Math.min(...numbers), lastNumber: Math.max(...numbers) };
  const among = async (some: number[]) => {
    const voids = await core.ledger.listVoids(key, range, VOID_RANGES_MAX);
    return some.filter((number) =>
      voids.some((one) => number >= one.firstNumber && number <= one.lastNumber),
    );
  };
  const suspected = await among(numbers);
  if (suspected.length === 0) return [];
  const jobs = await findJobs(core, key, suspected);
  return among(suspected.filter((_, at) => jobs[at] === undefined));
}
