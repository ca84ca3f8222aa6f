import type { Message, WatchMessagesResponse } from "../../gen/parley/v1/message.ts";
import type { NumberRange } from "../../gen/parley/v1/state.ts";

/** What is found in a chat, in the order in which those who watch it are told. */
export type WatchEvent =
  /** A row as it is after the change `asOf`: the next one, or a late one that was pending. */
  | { kind: "message"; message: Message; asOf: number }
  /** A message as a change left it, or a later one. */
  | { kind: "change"; message: Message; changeNumber: number }
  /** Numbers of one kind; of these too, some may have been pending. */
  | { kind: "void" | "pending"; range: NumberRange };

type Shown = NonNullable<WatchMessagesResponse["event"]>;

/**
 * How far a stream has come: the number and the change up to which it has told all, and the numbers
 * among them that it told as pending. An event moves it on and is shown, or was told before and is
 * not. So it does not matter whether one comes twice, only that none is left out.
 */
export class Position {
  number: number;
  change: number;
  readonly pending = new Set<number>();
  /** Its caller wants to see what is above; `number` begins lower where that is not given yet. */
  private readonly after: number;

  constructor(at: { number: number; change: number; after: number }) {
    this.number = at.number;
    this.change = at.change;
    this.after = at.after;
  }

  /** Another one at the same place, which shows everything from there on. */
  copy(): Position {
    const { number, change } = this;
    const copied = new Position({ number, change, after: number });
    for (const one of this.pending) copied.pending.add(one);
    return copied;
  }

  /** What is to be shown; undefined for an event that does not follow on from here. */
  apply(event: WatchEvent): Shown[] | undefined {
    if (event.kind === "message") return this.applyMessage(event.message, event.asOf);
    if (event.kind === "change") return this.applyChange(event.message, event.changeNumber);
    const { firstNumber, lastNumber } = event.range;
    if (firstNumber > this.number + 1) return undefined;
    const shown = event.kind === "void" ? this.settle(event.range) : [];
    if (lastNumber <= this.number) return shown;
    const range = { firstNumber: this.number + 1, lastNumber };
    if (event.kind === "pending") {
      for (let number = range.firstNumber; number <= lastNumber; number++) this.pending.add(number);
    }
    this.number = lastNumber;
    range.firstNumber = Math.max(range.firstNumber, this.after + 1);
    if (range.firstNumber <= lastNumber) shown.push({ $case: event.kind, value: range });
    return shown;
  }

  private applyMessage(message: Message, asOf: number): Shown[] | undefined {
    const { number } = message;
    const late = this.pending.has(number);
    if (number <= this.number && !late) return [];
    // A row from before a change that this stream has passed already would hide that change.
    if (number > this.number + 1 || asOf < this.change) return undefined;
    this.change = asOf;
    if (late) return this.showLate(message);
    this.number = number;
    return number > this.after ? [{ $case: "message", value: message }] : [];
  }

  private applyChange(message: Message, changeNumber: number): Shown[] {
    if (changeNumber <= this.change) return [];
    this.change = changeNumber;
    // A message above is sent as it is when the stream comes to it.
    return message.number <= this.number ? this.showLate(message) : [];
  }

  private showLate(message: Message): Shown[] {
    this.pending.delete(message.number);
    return [{ $case: "changed", value: message }];
  }

  /** The numbers of a void that were pending, as ranges. */
  private settle({ firstNumber, lastNumber }: NumberRange): Shown[] {
    const settled = [...this.pending].filter((one) => one >= firstNumber && one <= lastNumber);
    for (const one of settled) this.pending.delete(one);
    return rangesOf(settled).map((value) => ({ $case: "void", value }));
  }
}

/** Numbers as ranges, lowest first. */
export function rangesOf(numbers: number[]): NumberRange[] {
  const ranges: NumberRange[] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const last = ranges[ranges.length - 1];
    if (last?.lastNumber === number - 1) last.lastNumber = number;
    else ranges.push({ firstNumber: number, lastNumber: number });
  }
  return ranges;
}
