// Tests that draw their input draw the same in every run, unless one of these says otherwise:
// PARLEY_TEST_SEED=<a number> draws others, PARLEY_TEST_RUNS=<a factor> draws more of them.

const seed = Number(process.env.PARLEY_TEST_SEED ?? 20_261_125);
const factor = Number(process.env.PARLEY_TEST_RUNS ?? 1);

/** What fast-check is told. A failure says the seed and the path to the smallest example. */
export function drawn(numRuns: number): { seed: number; numRuns: number } {
  return { seed, numRuns: Math.ceil(numRuns * factor) };
}

/** How long a test that draws may take: so much for each factor. */
export function patience(timeoutMs: number): number {
  return timeoutMs * Math.max(1, factor);
}

/** To be put behind a title, so that the output of every run says what it drew. */
export const seedNote = `seed ${seed}`;
