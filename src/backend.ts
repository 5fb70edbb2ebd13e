import type {CallContext, Family, Kernel, Route} from './family.ts';
import type {Flavour, PlanWishes} from './plan.ts';
import type {KernelSource} from './wasm/source.ts';

/** The names of the backends. A list of the backends themselves would bring all their code along. */
export const BACKEND_NAMES = ['wasm', 'cpu'] as const;

/** A tfjs backend that im2win can serve. */
export type Im2winBackend = 'wasm' | 'cpu';

/** What im2win holds of the wasm backend's heaps, in bytes. */
export interface Im2winMemory {
  /** Scratch memory: a block's windows and products, and a filter that each call packs. */
  workspaceBytes: number;
  /** Packed filters, each kept until its tensor's data is freed. */
  filterBytes: number;
  /** Both, and what aligning them to cache lines costs. */
  ownBytes: number;
}

/** A tfjs backend, as the files see it that know none of them by name. */
export interface Backend {
  readonly name: Im2winBackend;
  /** The package to import. */
  readonly package: string;
  /** The backend was imported if tfjs has one of them: a tree-shaken build lacks some. */
  readonly kernels: readonly Kernel[];
  /**
   * Prepares what computes on it. Nothing is registered yet.
   *
   * @returns Why it cannot be served on this engine, if so.
   * @throws Error if the kernels cannot be had, or are not those that were asked for.
   */
  open(source: KernelSource, options: OpenOptions): Promise<OpenBackend | string>;
}

/** What of a registration's options a backend is opened with. */
export interface OpenOptions {
  readonly simd: 'auto' | Flavour;
  readonly numThreads?: number;
  readonly workerUrl?: string;
}

/** The threads that compute on a backend. */
export interface BackendThreads {
  /** Those that take part from the next call on, the calling one among them. */
  readonly count: number;
  /** The most that there can be. */
  readonly most: number;
  /** Why the calling thread is the only one, and what to do, where nobody asked for that. */
  readonly reason?: string;
  set(count: number): void;
}

/** What computes on a backend, on all of its instances. */
export interface OpenBackend {
  /** The kernels' flavour, on wasm. */
  readonly flavour?: Flavour;
  /** Missing where the calling thread is the only one there can be. */
  readonly threads?: BackendThreads;
  readonly families: readonly Family[];
  /** Where a call on an instance runs. */
  context(instance: object, wishes: PlanWishes): CallContext;
  memory(): Im2winMemory;
  /** Gives back what is kept of a route that no call will have again. */
  forget(route: Route): void;
  /** Gives back what an instance holds; of all of them if none is named. */
  release(instance?: object): void;
}
