import type {Kernel} from '../family.ts';
import {TARGETS, type Target} from '../targets.generated.ts';
import {FilterCache} from './filterCache.ts';
import {findMemory, Heap} from './heap.ts';
import {JobCache} from './job.ts';
import {instantiateKernels, type KernelExports, type KernelModules} from './module.ts';
import {TallTiles} from './tallTiles.ts';
import type {TfjsWasmBackend} from './tfjs.ts';
import {Pool, type PoolOptions, type Stage} from './threads/pool.ts';
import {Workspace} from './workspace.ts';

/** What threads an instance is to have; what is missing is the target's and the pool's own. */
export type ThreadWishes = Pick<PoolOptions, 'numThreads'> & Partial<PoolOptions>;

/** All that belongs to one instance of tfjs's wasm backend. */
export class WasmState {
  readonly workspace: Workspace;
  readonly filters: FilterCache;
  readonly jobs: JobCache;
  readonly backend: TfjsWasmBackend;
  readonly heap: Heap;
  readonly kernels: KernelExports;
  /** Missing where the calling thread is the only one. */
  readonly pool: Pool | undefined;
  readonly tall: TallTiles;

  private constructor(
    backend: TfjsWasmBackend,
    heap: Heap,
    kernels: KernelExports,
    target: Target,
    threads?: PoolOptions,
  ) {
    this.backend = backend;
    this.heap = heap;
    this.kernels = kernels;
    this.workspace = new Workspace(heap);
    this.filters = new FilterCache(heap, backend);
    this.jobs = new JobCache(heap);
    this.tall = new TallTiles(target);
    const {memory} = heap;
    const onLost = () => this.abandon();
    this.pool = threads && new Pool({kernels, memory, onLost, onEnded: () => heap.resume()}, threads);
  }

  /** @returns The state, or the reason why this backend cannot be used. */
  static create(
    backend: TfjsWasmBackend,
    modules: KernelModules,
    wishes: ThreadWishes = {numThreads: 1},
  ): WasmState | string {
    const {wasm} = backend;
    const memory = wasm ? findMemory(wasm) : undefined;
    if (!wasm || memory === undefined) return "this build of tfjs's wasm backend keeps its memory elsewhere";
    const heap = new Heap(wasm, memory);
    const kernels = instantiateKernels(modules, memory, heap.shared);
    if (typeof kernels === 'string') return kernels;
    const {flavour, shared: module} = modules;
    const threaded = wishes.numThreads > 1 && heap.shared && typeof module !== 'string';
    const target = TARGETS[flavour];
    const {dispatch} = target;
    return new WasmState(
      backend,
      heap,
      kernels,
      target,
      threaded ? {module, dispatch, ...wishes} : undefined,
    );
  }

  /** The scratches that a job on so many threads needs: one that was woken for an earlier job may come only now. */
  scratchesFor(threads: number): number {
    return threads === 1 ? 1 : (this.pool?.most ?? 1);
  }

  /** The threads that a job is to run on. See `Pool.threadsFor`. */
  threadsFor(tasks: number, cost: number): number {
    return this.pool?.threadsFor(tasks, cost) ?? 1;
  }

  /**
   * Computes all tasks of a stage, on the calling thread alone or on several.
   *
   * @throws Error if a thread failed, or did not come back.
   */
  run(threads: number, stage: Stage): void {
    const {kernel, job, first, last, scratch} = stage;
    if (threads === 1 || this.pool === undefined) this.kernels[kernel](job, first, last, scratch);
    else this.pool.run(stage);
  }

  /** Makes sure that nothing which a lost worker may still read or write serves a later call. */
  private abandon(): void {
    this.heap.hold();
    this.jobs.release();
    this.workspace.release();
  }

  /** Gives every byte back; the backend lives on. */
  release(): void {
    this.pool?.stop();
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
