import type {Flavour} from '../plan.ts';
import type {TaskKernel} from './entries.generated.ts';

/**
 * Computes tasks `first` to `last` (less one) of the job at a byte offset, with a scratch of the caller's at another,
 * which some do not read; what a task is, the entry's header says.
 */
type Tasks = (job: number, first: number, last: number, scratch: number) => void;

/** The exports of `kernels/`. The build finds those that compute tasks. */
export interface KernelExports extends Record<TaskKernel, Tasks> {
  /** Writes an image [pixels, channels] as planes [channels, pixels]. */
  im2win_spread(to: number, image: number, pixels: number, channels: number): void;
  /** Writes so many floats of zero. */
  im2win_clear(to: number, count: number): void;
}

/** A flavour, compiled for both kinds of memory that tfjs's builds use. */
export interface KernelModules {
  readonly flavour: Flavour;
  readonly unshared: WebAssembly.Module;
  /** Or why there is none. */
  readonly shared: WebAssembly.Module | string;
}

/**
 * A module on a memory that it does not own. It keeps no state of its own.
 *
 * @returns Its exports, or why there is no module for such a memory.
 */
export function instantiateKernels(
  modules: KernelModules,
  memory: WebAssembly.Memory,
  shared: boolean,
): KernelExports | string {
  const module = shared ? modules.shared : modules.unshared;
  if (typeof module === 'string') return module;
  return new WebAssembly.Instance(module, {env: {memory}}).exports as unknown as KernelExports;
}
