import type {
  ListMessagesResponse,
  Message,
  WatchMessagesResponse,
} from "../../../gen/parley/v1/message.ts";
import { type NumberRange, State } from "../../../gen/parley/v1/state.ts";
import { type Calls, pauseMs } from "./calls.ts";
import { type Code, ParleyError } from "./errors.ts";
import type { Messages } from "./messages.ts";
import { Ranges } from "./ranges.ts";

/** How far a consumer has come; given to `consume` again, it goes on from there. */
export interface Position {
  /** All up to here was handed on, but for `pending`. */
  afterNumber: number;
  /** All edits and deletions up to here were handed on. */
  afterChange: number;
  /** Numbers that were passed because their messages were not stored yet. */
  pending: NumberRange[];
}

export interface ConsumeOptions extends Partial<Position> {
  applicationToken: string;
  chatNumber: number;
  /** `position` is that after this message. What this throws ends the consuming. */
  onMessage(message: Message, position: Position): unknown;
  /** A message that was handed on before, as it is after an edit or a deletion. */
  onChange?: ((message: Message, position: Position) => unknown) | undefined;
  /** Numbers that no message will ever have, or has any more. */
  onVoid?: ((numbers: NumberRange, position: Position) => unknown) | undefined;
  signal?: AbortSignal | undefined;
}

/** Errors that stay however often the call is made; all others pass. */
const STAYING: Code[] = [
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "UNAUTHENTICATED",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
];
/** How often at most numbers that an earlier stream left pending are looked for. */
const LOOK_MS = 5_000;

type Event = Pick<WatchMessagesResponse, "event" | "changeNumber">;

/** One run of `consume`. */
export class Consumer {
  private readonly messages: Messages;
  private readonly calls: Calls;
  private readonly options: ConsumeOptions;
  private afterNumber: number;
  private afterChange: number;
  /** Passed by any stream, and not handed on yet. */
  private readonly pending: Ranges;
  /** Those of them that the stream of now knows nothing of. */
  private orphans = new Ranges([]);
  private lookedMs = 0;
  /** False until a stream has said where the changes stand. */
  private changesKnown: boolean;

  constructor(messages: Messages, calls: Calls, options: ConsumeOptions) {
    this.messages = messages;
    this.calls = calls;
    this.options = options;
    this.afterNumber = options.afterNumber ?? 0;
    this.afterChange = options.afterChange ?? 0;
    this.pending = new Ranges(options.pending ?? []);
    this.changesKnown = options.afterChange !== undefined;
  }

  async run(): Promise<void> {
    for await (const event of this.events()) {
      await this.take(event);
      if (this.options.signal?.aborted) return;
    }
  }

  /** The events of one stream after the other. Each begins where the last event taken left off. */
  private async *events(): AsyncGenerator<Event, void, undefined> {
    const { applicationToken, chatNumber, signal } = this.options;
    for (let failures = 0; !signal?.aborted; ) {
      let failure: Pick<ParleyError, "retryMs"> = { retryMs: 0 };
      try {
        this.orphans = this.pending.copy();
        yield* this.found();
        const { afterNumber } = this;
        const afterChange = this.changesKnown ? this.afterChange : undefined;
        const wanted = { applicationToken, chatNumber, afterNumber, afterChange };
        for await (const event of this.messages.watch(wanted, { signal })) {
          failures = 0;
          this.changesKnown = true;
          yield event;
          if (Date.now() - this.lookedMs > LOOK_MS) yield* this.found();
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (!(error instanceof ParleyError) || STAYING.includes(error.code)) throw error;
        failure = error;
      }
      // Aborting ends the pause, and then the loop.
      await this.calls.pause(pauseMs(failures++, failure), signal).catch(() => {});
    }
  }

  /** What became of the numbers that an earlier stream left pending. */
  private async *found(): AsyncGenerator<Event, void, undefined> {
    this.lookedMs = Date.now();
    const { applicationToken, chatNumber, signal } = this.options;
    const changeNumber = this.afterChange;
    for (const { firstNumber, lastNumber } of this.orphans.list()) {
      const [afterNumber, beforeNumber] = [firstNumber - 1, lastNumber + 1];
      const wanted = { applicationToken, chatNumber, afterNumber, beforeNumber };
      const pages: AsyncIterable<ListMessagesResponse> = this.messages
        .list(wanted, { signal })
        .pages();
      for await (const { messages, voids } of pages) {
        for (const value of voids) yield { event: { $case: "void", value }, changeNumber };
        for (const value of messages) {
          const stored = value.state !== State.STATE_ACCEPTED && value.state !== State.STATE_FAILED;
          if (stored) yield { event: { $case: "changed", value }, changeNumber };
        }
      }
    }
  }

  private async take({ event, changeNumber }: Event): Promise<void> {
    this.afterChange = Math.max(this.afterChange, changeNumber);
    const { onMessage, onChange, onVoid } = this.options;
    if (event?.$case === "pending") {
      this.pending.add(event.value);
      this.pass(event.value.lastNumber);
    } else if (event?.$case === "void") {
      this.settle(event.value);
      this.pass(event.value.lastNumber);
      await onVoid?.(event.value, this.position());
    } else if (event?.$case === "message" || event?.$case === "changed") {
      const message = event.value;
      const { number } = message;
      const isNew = number > this.afterNumber || this.pending.has(number);
      this.settle({ firstNumber: number, lastNumber: number });
      this.pass(number);
      if (isNew) await onMessage(message, this.position());
      else if (isChanged(message)) await onChange?.(message, this.position());
    }
  }

  private settle(numbers: NumberRange): void {
    this.pending.remove(numbers);
    this.orphans.remove(numbers);
  }

  private pass(number: number): void {
    this.afterNumber = Math.max(this.afterNumber, number);
  }

  private position(): Position {
    const { afterNumber, afterChange, pending } = this;
    return { afterNumber, afterChange, pending: pending.list() };
  }
}

function isChanged({ editTime, deleteTime }: Message): boolean {
  return editTime !== undefined || deleteTime !== undefined;
}
