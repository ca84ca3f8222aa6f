/** One line of the table. */
export interface Measured {
  name: string;
  value: number;
  unit: string;
  /** What stands beside it, in the same unit and of the same run; undefined for nothing. */
  floor: number | undefined;
  /** The one divided by the other, as the goal wants it. */
  ratio: number | undefined;
  goal: string;
  /** Null where this machine cannot tell, for the reason in `note`. */
  ok: boolean | null;
  note?: string;
}

/** How long and how much: everything that a trial makes small, and nothing else. */
export interface Scale {
  /** Rounds of two sides in turn; the median counts. */
  rounds: number;
  /** How long one side of a round is under load. */
  roundMs: number;
  /** How long the whole pipeline has to sustain its rate. */
  sustainMs: number;
  /** Messages of the drained queue, of the long chat, of the full index, of the memory run. */
  drained: number;
  listed: number;
  indexed: { all: number; inOneChat: number };
  remembered: number;
  /** Chats among which 1,000 changed; the small side has a hundredth of them. */
  chats: number;
  /** Searches of a kind in a round. */
  searches: number;
}

export const WHOLE: Scale = {
  rounds: 5,
  roundMs: 3_000,
  sustainMs: 60_000,
  drained: 100_000,
  listed: 1_000_000,
  indexed: { all: 1_000_000, inOneChat: 100_000 },
  remembered: 1_000_000,
  chats: 1_000_000,
  searches: 100,
};

/** Shows that all of it runs. Its figures say nothing, so nothing is judged by them. */
export const TRIAL: Scale = {
  rounds: 1,
  roundMs: 300,
  sustainMs: 2_000,
  drained: 2_000,
  listed: 5_000,
  indexed: { all: 3_000, inOneChat: 1_000 },
  remembered: 20_000,
  chats: 100_000,
  searches: 5,
};

/** Measurements that share what has to be set up for them. */
export interface Bench {
  /** Their names, in the order of the table. */
  names: string[];
  run(scale: Scale): Promise<Measured[]>;
}

type Judged = Pick<Measured, "name" | "value" | "unit" | "floor" | "note">;

/** A goal of the kind "at least so many times what stands beside it". */
export function atLeast(least: number, one: Judged & { floor: number }): Measured {
  const ratio = one.value / one.floor;
  return { ...one, ratio, goal: `>= ${least} x`, ok: ratio >= least };
}

/** A goal of the kind "at most so many times what stands beside it". */
export function atMost(most: number, one: Judged & { floor: number }): Measured {
  const ratio = one.value / one.floor;
  return { ...one, ratio, goal: `<= ${most} x`, ok: ratio <= most };
}

/** A goal of the kind "at most so much more than what stands beside it", in its unit. */
export function atMostMore(most: number, one: Judged): Measured {
  return { ...one, ratio: undefined, goal: `<= ${most} ${one.unit}`, ok: one.value <= most };
}

export function medianOf(values: number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Runs two sides in turn, the order changed each round, after a round of both that does not count:
 * what else the machine does meanwhile meets both. Gives what each side gave, round by round.
 */
export async function alternate<T>(
  rounds: number,
  sides: { ours: () => Promise<T>; floor: () => Promise<T> },
): Promise<{ ours: T[]; floor: T[] }> {
  const found = { ours: [] as T[], floor: [] as T[] };
  await sides.floor();
  await sides.ours();
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["floor", "ours"] as const) : (["ours", "floor"] as const);
    for (const side of order) found[side].push(await sides[side]());
  }
  return found;
}
