// A contender's turn: some runs of one thing, timed.

/** Of the runs of a turn. */
export interface Ran {
  readonly medianMs: number;
  readonly fastestMs: number;
  /** Processor time of a run, of all the process's threads. */
  readonly cpuMs: number;
}

// In its first runs V8 still compiles what runs often.
const WARM_RUNS = 15;
const WARM_MS = 1500;
// A turn is as many runs as take this long.
const TURN_MS = 30;
const TURN_RUNS = 30;
// What takes longer than this fills the caches anew in each run anyway.
const LONG_MS = 60;

type Run = () => unknown;

export async function timed(run: Run): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

export async function warmUp(run: Run): Promise<void> {
  const start = performance.now();
  for (let runs = 0; runs < WARM_RUNS && performance.now() - start < WARM_MS; ++runs) await run();
}

/**
 * As long as an engine may take whose code V8 compiles function by function, while it runs.
 *
 * @param ms At least.
 */
export async function warmUpLong(run: Run, ms: number): Promise<void> {
  const start = performance.now();
  do await run();
  while (performance.now() - start < ms);
}

/** @param lastMs What a run took before. */
export async function takeTurn(run: Run, lastMs = 0): Promise<Ran> {
  // Untimed: what it needs comes into the caches.
  if (lastMs < LONG_MS) await run();
  const times: number[] = [];
  const before = process.cpuUsage();
  const start = performance.now();
  do times.push(await timed(run));
  while (times.length < TURN_RUNS && performance.now() - start < TURN_MS);
  const {user, system} = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  return {
    medianMs: times[times.length >> 1],
    fastestMs: times[0],
    cpuMs: (user + system) / 1000 / times.length,
  };
}

/** What is compared of turns. */
export type Figure = 'median' | 'fastest' | 'cpu';

export const FIGURES: Record<Figure, (ran: Ran) => number> = {
  median: ({medianMs}) => medianMs,
  fastest: ({fastestMs}) => fastestMs,
  cpu: ({cpuMs}) => cpuMs,
};
