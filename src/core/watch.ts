import { setTimeout as sleep } from "node:timers/promises";
import type { WatchMessagesRequest, WatchMessagesResponse } from "../../gen/parley/v1/message.ts";
import { isUnavailable } from "../errors.ts";
import { requireChat } from "./chats.ts";
import type { Call, Core } from "./core.ts";
import type { Taken } from "./feeds.ts";
import { WAIT_POLL_MS } from "./limits.ts";
import type { ChatKey } from "./ports.ts";
import { Position, type WatchEvent } from "./watch-position.ts";

/** Ends by itself only when its signal is aborted; what it throws ends it too. */
export async function* watchMessages(
  core: Core,
  request: WatchMessagesRequest,
  call: Call,
): AsyncGenerator<WatchMessagesResponse> {
  const leave = core.feeds.enter(request.applicationToken);
  try {
    yield* new Watch(core, request, call).run();
  } finally {
    leave();
  }
}

/** One stream: first behind the feed of its chat, then at it, and behind again where it is slow. */
class Watch {
  private readonly core: Core;
  private readonly request: WatchMessagesRequest;
  private readonly call: Call;
  private readonly key: ChatKey;
  private position!: Position;
  /** All up to here was there when the call began; undefined when that was said. */
  private backlog: number | undefined = 0;

  constructor(core: Core, request: WatchMessagesRequest, call: Call) {
    const { applicationToken, chatNumber } = request;
    this.core = core;
    this.request = request;
    this.call = call;
    this.key = { applicationToken, chatNumber };
  }

  async *run(): AsyncGenerator<WatchMessagesResponse> {
    const { core, key, call } = this;
    const { afterNumber: after, afterChange } = this.request;
    const [last, changes] = await core.feeds.pass(call.signal, async () => {
      await requireChat(core, key, call);
      return Promise.all([
        lastOf(core, key, call.signal),
        core.store.changeCount(key, call.signal),
      ]);
    });
    // What is asked for may be above what is there, by a caller's fault or after a loss.
    const change = Math.min(afterChange ?? changes, changes);
    this.position = new Position({ number: Math.min(after, last), change, after });
    this.backlog = last;
    // Who comes to what is new already has nothing to read.
    let more = this.position.number < last || change < changes;
    while (!call.signal.aborted) {
      // Without a seat: the feed of a chat must not read what one alone is behind.
      while (more && !call.signal.aborted) more = yield* this.read();
      const taken = core.feeds.sit(core, key, this.position);
      try {
        yield* this.reach(taken);
        yield* this.sayCaughtUp();
        yield* this.follow(taken);
      } finally {
        taken.leave();
      }
      // What the seat has lost is read.
      more = true;
    }
  }

  /** Reads and shows a page; says whether there is more. */
  private async *read(): AsyncGenerator<WatchMessagesResponse, boolean> {
    const { core, key, position, call } = this;
    const { events, more } = await core.feeds.read(core, key, position, call.signal);
    yield* this.show(events);
    return more;
  }

  /** Reads what the feed had passed when the seat was taken; nothing where that was not more. */
  private async *reach({ seat }: Taken): AsyncGenerator<WatchMessagesResponse> {
    const { position } = this;
    const { signal } = this.call;
    const isBehind = () => position.number < seat.start.number;
    let more = isBehind() || position.change < seat.start.change;
    while (more && !signal.aborted) {
      const further = yield* this.read();
      more = further || isBehind();
      // The feed has seen what is not to be seen here yet, where there are copies of the rows.
      if (more && !further) await sleep(WAIT_POLL_MS.last, undefined, { signal }).catch(() => {});
    }
  }

  /** What the feed brings, until the seat is lost or an event does not follow on. */
  private async *follow({ seat }: Taken): AsyncGenerator<WatchMessagesResponse> {
    const { signal } = this.call;
    const { heartbeatMs } = this.core.feeds.options;
    while (!signal.aborted) {
      const heard = await seat.take(heartbeatMs, signal);
      if (signal.aborted || heard === "lost") return;
      if (heard === "silence") yield this.respond({ $case: "heartbeat", value: {} });
      else if (!(yield* this.show(heard))) return;
    }
  }

  /** Says false at the first event that does not follow on. */
  private async *show(events: WatchEvent[]): AsyncGenerator<WatchMessagesResponse, boolean> {
    for (const event of events) {
      const shown = this.position.apply(event);
      if (shown === undefined) return false;
      for (const one of shown) yield this.respond(one);
      if (event.kind !== "change") yield* this.sayCaughtUp();
    }
    return true;
  }

  private *sayCaughtUp(): Generator<WatchMessagesResponse> {
    if (this.backlog === undefined || this.position.number < this.backlog) return;
    this.backlog = undefined;
    yield this.respond({ $case: "caughtUp", value: {} });
  }

  private respond(event: WatchMessagesResponse["event"]): WatchMessagesResponse {
    return { event, changeNumber: this.position.change };
  }
}

/** The highest number that there is: given, or stored where the counters are away. */
async function lastOf(core: Core, key: ChatKey, signal: AbortSignal): Promise<number> {
  try {
    return (await core.numbering.value(key)) ?? 0;
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    const page = { after: 0, before: Number.POSITIVE_INFINITY, order: "desc", limit: 1 } as const;
    const [row] = await core.store.listMessages(key, { ...page, signal });
    return row?.number ?? 0;
  }
}
