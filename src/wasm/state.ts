import type {Kernel} from '../family.ts';
import {FilterCache} from './filterCache.ts';
import {findMemory, Heap} from './heap.ts';
import {JobCache} from './job.ts';
import {instantiateKernels, type KernelExports, type KernelModules} from './module.ts';
import type {TfjsWasmBackend} from './tfjs.ts';
import {Workspace} from './workspace.ts';

/** All that belongs to one instance of tfjs's wasm backend. */
export class WasmState {
  readonly workspace: Workspace;
  readonly filters: FilterCache;
  readonly jobs: JobCache;
  readonly backend: TfjsWasmBackend;
  readonly heap: Heap;
  readonly kernels: KernelExports;

  private constructor(backend: TfjsWasmBackend, heap: Heap, kernels: KernelExports) {
    this.backend = backend;
    this.heap = heap;
    this.kernels = kernels;
    this.workspace = new Workspace(heap);
    this.filters = new FilterCache(heap, backend);
    this.jobs = new JobCache(heap);
  }

  /** @returns The state, or the reason why this backend cannot be used. */
  static create(backend: TfjsWasmBackend, modules: KernelModules): WasmState | string {
    const {wasm} = backend;
    const memory = wasm ? findMemory(wasm) : undefined;
    if (!wasm || memory === undefined) return "this build of tfjs's wasm backend keeps its memory elsewhere";
    const heap = new Heap(wasm, memory);
    const kernels = instantiateKernels(modules, memory, heap.shared);
    return typeof kernels === 'string' ? kernels : new WasmState(backend, heap, kernels);
  }

  /** Gives every byte back; the backend lives on. */
  release(): void {
    this.filters.release();
    this.jobs.release();
    this.workspace.release();
  }
}

/**
 * The state of an instance, for a kernel that is to run on it.
 *
 * @throws Error if it has none.
 */
export type StateOf = (instance: object, kernel: Kernel) => WasmState;

/** The threads that tfjs's own kernels run on. */
export function threadCount(backend: TfjsWasmBackend): number {
  return backend.wasm?.tfjs?.getThreadsCount?.() ?? 1;
}
