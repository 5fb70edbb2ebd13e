/** Threads that are worth having where nobody says how many: half of the cores, at least 2 where there are 2, at most 8. */
export function defaultThreads(): number {
  const cores = coreCount();
  return cores < 2 ? 1 : Math.min(8, Math.max(2, Math.ceil(cores / 2)));
}

/** The logical cores that this process may use; 1 where the host does not say. */
function coreCount(): number {
  const os = globalThis.process?.getBuiltinModule?.('node:os');
  return os?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Whether this is Node, or a host that takes its place. */
export function isNode(): boolean {
  return globalThis.process?.versions?.node !== undefined;
}

/** Why this host has no workers that we can start, if so. */
export function whyNoWorkers(): string | undefined {
  if (isNode()) {
    return globalThis.process.getBuiltinModule === undefined
      ? 'this version of Node does not hand out its workers; 20.16, 22.3 and later ones do'
      : undefined;
  }
  return typeof Worker === 'undefined' ? 'this host has no workers' : undefined;
}
