// The tasks of kernels that wait for memory, as those do that read and write each value once.

export interface MemoryTasks {
  /** Shares of the data, each of which may be written beside the others. */
  readonly tasks: number;
  /** What all of them are expected to take, in steps, as `WasmState.run` is told it. */
  readonly cost: number;
}

// Some twenty microseconds, ten times what it takes to hand one out.
const TASK_BYTES = 2 ** 18;
const MOST_TASKS = 16;
/** What is written in about the time in which four products are added up. */
const BYTES_PER_STEP = 4;

/** @param bytes All that the kernel writes, having read about as much. */
export function memoryTasks(bytes: number): MemoryTasks {
  const tasks = Math.min(MOST_TASKS, Math.max(1, Math.floor(bytes / TASK_BYTES)));
  return {tasks, cost: bytes / BYTES_PER_STEP};
}
