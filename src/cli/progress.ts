import cliProgress from "cli-progress";

/** How far something has come. `count` is what the rate is of, where that is not what is `done`. */
export interface Progress {
  done: number;
  total: number;
  count: number;
}

/** Where no terminal is, a line so often will do. */
const NO_TERMINAL_MS = 10_000;

/**
 * A bar that says rate and time left, reckoned from what was done since the first `show`: what an
 * interrupted run had done before does not count.
 */
export function openBar(stream: NodeJS.WriteStream, noun: string) {
  const bar = new cliProgress.SingleBar({
    format: `{bar} {percentage}% | {count} ${noun}, {rate}/s, {left} left`,
    barCompleteChar: "=",
    barIncompleteChar: " ",
    stream,
    noTTYOutput: true,
    notTTYSchedule: NO_TERMINAL_MS,
    clearOnComplete: true,
  });
  let first: Progress & { ms: number };
  let begun = false;
  return {
    show(now: Progress): void {
      if (!begun) first = { ...now, ms: performance.now() };
      const words = { count: now.count, ...paceOf(now, first, performance.now() - first.ms) };
      if (!begun) bar.start(now.total, now.done, words);
      begun = true;
      bar.setTotal(now.total);
      bar.update(now.done, words);
    },
    /** A line above the bar. */
    say(text: string): void {
      const shown = begun && stream.isTTY;
      if (shown) stream.write("\r\x1b[K");
      stream.write(`${text}\n`);
    },
    end: () => bar.stop(),
  };
}

export function paceOf(now: Progress, first: Progress, ms: number): { rate: number; left: string } {
  const seconds = Math.max(0.001, ms / 1_000);
  const done = now.done - first.done;
  const left = done <= 0 ? undefined : (seconds * Math.max(0, now.total - now.done)) / done;
  return { rate: Math.round((now.count - first.count) / seconds), left: durationOf(left) };
}

/** `3h 05m`, `4m 09s`, `12s`. */
function durationOf(seconds: number | undefined): string {
  if (seconds === undefined) return "-";
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  if (h > 0) return `${h}h ${two(m)}m`;
  return m > 0 ? `${m}m ${two(s)}s` : `${s}s`;
}
