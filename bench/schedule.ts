// How a job's tasks would be shared out to threads, from the time of each alone.

/** What threads cost, in milliseconds. */
export interface DispatchCosts {
  /** Until another thread begins. */
  readonly start: number;
  /** What one claim takes. */
  readonly claim: number;
}

/** Tasks that may run at the same time, in the order in which they are claimed: the milliseconds of each. */
export type StageTimes = readonly number[];

/**
 * The milliseconds that stages take, one after the other, on so many threads: each thread claims the next task as soon
 * as it is free, the caller at once and the others once they have begun; a stage ends with its last task.
 */
export function simulate(
  stages: readonly StageTimes[],
  threads: number,
  {start, claim}: DispatchCosts,
): number {
  return stages.reduce((total, tasks) => {
    const free = Array.from({length: threads}, (_, thread) => (thread === 0 ? 0 : start));
    for (const milliseconds of tasks) {
      const first = free.indexOf(Math.min(...free));
      free[first] += claim + milliseconds;
    }
    // Threads that found nothing to claim do not keep a stage from ending.
    const busy = free.filter((end, thread) => thread === 0 || end > start);
    return total + Math.max(...busy);
  }, 0);
}
