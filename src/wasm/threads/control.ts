// The words that the threads of a pool share, in a small memory of their own, which the growth of tfjs's heap never
// touches. Words that several threads write lie on cache lines of their own.

const LINE = 16;

/** Where each word is. */
export const CONTROL = {
  /** Tasks of the stage that nobody has claimed; below 1 there are none. */
  unclaimed: 0,
  /** Claimed tasks that are done. */
  done: LINE,
  /** 1 while the caller sleeps until `done` changes. */
  callerSleeps: 2 * LINE,
  /** 1 once a task of the stage has failed. */
  failed: 2 * LINE + 1,
  /** The stage. It changes only while all its tasks are done. */
  kernel: 3 * LINE,
  job: 3 * LINE + 1,
  first: 3 * LINE + 2,
  last: 3 * LINE + 3,
  /** Tasks of the job that are claimed at a time. */
  grain: 3 * LINE + 4,
  /** Claims in the stage. */
  claims: 3 * LINE + 5,
  /** The caller's scratch, in bytes; a thread's lies so many times `scratchBytes` behind it as its number says. */
  scratch: 3 * LINE + 6,
  scratchBytes: 3 * LINE + 7,
  /** Each thread's own words. */
  threads: 4 * LINE,
} as const;

/** The words of a thread, from `CONTROL.threads` + its number · `THREAD_WORDS` on. */
export const THREAD = {
  /** Another number each time that there may be something to do; -1 to leave. */
  wake: 0,
  state: 1,
} as const;

export const THREAD_WORDS = LINE;

export const STATE = {absent: 0, awake: 1, asleep: 2} as const;

/** The caller is thread 0. */
export const MOST_THREADS = 16;

export const CONTROL_BYTES = 4 * (CONTROL.threads + MOST_THREADS * THREAD_WORDS);

/**
 * How long a worker looks for more to do before it sleeps, in milliseconds: longer than most of what stands between two
 * convolutions of a network, since to be woken takes as long as a small convolution does.
 */
export const SPIN_MS = 1;

/** How long the caller looks for the others to finish before it sleeps. */
export const CALLER_SPIN_MS = 0.1;
