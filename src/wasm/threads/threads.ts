import type {BackendThreads, OpenOptions} from '../../backend.ts';
import {hasSharedHeap, type SharedStart, shareHeapAtStart} from '../sharedStart.ts';
import type {KernelSource, Sharing} from '../source.ts';
import type {ThreadWishes, WasmState} from '../state.ts';
import type {TfjsWasmBackend} from '../tfjs.ts';
import {MOST_THREADS} from './control.ts';
import {defaultThreads, isNode, whyNoWorkers} from './cores.ts';
import type {Pool} from './pool.ts';

/** The threads of all instances of the wasm backend: how many there are to be, and why there are not. */
export class WasmThreads implements BackendThreads {
  /** Of tfjs's heap. */
  readonly sharing: Sharing;
  private readonly asked: number | undefined;
  private readonly workerUrl: string | undefined;
  private readonly start: SharedStart | undefined;
  private readonly obstacle: string | undefined;
  private readonly states = new Set<WasmState>();
  /** What `set` was last called with. */
  private chosen: number | undefined;

  /** Has tfjs's backend start on a shared heap, where threads are wanted and tfjs would not. */
  constructor(source: KernelSource, {numThreads, workerUrl}: OpenOptions) {
    this.asked = numThreads;
    this.workerUrl = workerUrl;
    this.obstacle = this.limit === 1 ? undefined : whyNoThreads(source);
    if (this.limit > 1 && this.obstacle === undefined) this.start = shareHeapAtStart();
    const expected = this.start === undefined ? hasSharedHeap() : this.start.reason === undefined;
    // On an isolated page tfjs itself takes one that is shared.
    this.sharing = {expected, possible: expected || (!isNode() && typeof SharedArrayBuffer !== 'undefined')};
  }

  get most(): number {
    if (this.asked !== undefined) return this.asked;
    const pools = this.pools();
    return pools.length === 0 ? defaultThreads() : Math.max(...pools.map(({most}) => most));
  }

  get count(): number {
    if (this.obstacle !== undefined) return 1;
    if (this.states.size === 0) return this.start?.reason === undefined ? this.limit : 1;
    return Math.max(1, ...this.pools().map(({threads}) => threads));
  }

  get reason(): string | undefined {
    if (this.limit === 1 || this.count > 1) return undefined;
    const pools = this.pools().map(({reason}) => reason);
    return (
      this.obstacle ?? pools.find((reason) => reason !== undefined) ?? this.start?.reason ?? whyUnshared()
    );
  }

  set(count: number): void {
    this.chosen = count;
    for (const pool of this.pools()) pool.setThreads(count);
  }

  /** What an instance of tfjs's backend is to have. */
  wishes({wasm}: TfjsWasmBackend): ThreadWishes {
    const tfjs = wasm?.tfjs?.getThreadsCount?.() ?? 1;
    const numThreads = this.asked ?? (tfjs > 1 ? Math.min(tfjs, MOST_THREADS) : defaultThreads());
    return {numThreads: this.obstacle === undefined ? numThreads : 1, workerUrl: this.workerUrl};
  }

  join(state: WasmState): void {
    this.states.add(state);
    if (this.chosen !== undefined) state.pool?.setThreads(this.chosen);
  }

  leave(state: WasmState): void {
    this.states.delete(state);
  }

  /** Has the backend start as it is again. */
  release(): void {
    this.start?.undo();
  }

  private get limit(): number {
    return this.chosen ?? this.asked ?? defaultThreads();
  }

  private pools(): Pool[] {
    return Array.from(this.states, ({pool}) => pool).filter((pool) => pool !== undefined);
  }
}

const ISOLATED =
  'a page has threads only if it is isolated (crossOriginIsolated), by the headers Cross-Origin-Opener-Policy: ' +
  'same-origin and Cross-Origin-Embedder-Policy: require-corp';

/** Why an instance has a heap of its own, where nothing else says it. */
function whyUnshared(): string {
  if (isNode()) {
    return (
      "tfjs's heap is not shared: its wasm backend had started before im2win was registered, or was registered anew " +
      "since. Call unregister() and registerIm2win() after that, and before tf.setBackend('wasm')"
    );
  }
  return globalThis.crossOriginIsolated === false
    ? ISOLATED
    : "tfjs's heap is not shared: it took its build without threads. To share that build's, call " +
        "tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false) and registerIm2win() before tf.setBackend('wasm')";
}

function whyNoThreads(source: KernelSource): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined') {
    return globalThis.crossOriginIsolated === false ? ISOLATED : 'this host has no SharedArrayBuffer';
  }
  if (Object.values(source).some(({compiled}) => compiled === true)) {
    return 'the kernels were given as a compiled module, which takes a memory that is not shared';
  }
  return whyNoWorkers();
}
