import type {BackendThreads, OpenOptions} from '../../backend.ts';
import {hasSharedHeap, type SharedStart, shareHeapAtStart} from '../sharedStart.ts';
import type {KernelSource, Sharing} from '../source.ts';
import type {ThreadWishes, WasmState} from '../state.ts';
import type {TfjsWasmBackend} from '../tfjs.ts';
import {defaultThreads, isNode, whyNoWorkers} from './cores.ts';

/** The threads of all instances of the wasm backend: how many there are to be, and why there are not. */
export class WasmThreads implements BackendThreads {
  /** Of tfjs's heap. */
  readonly sharing: Sharing;
  private readonly asked: number | undefined;
  private readonly workerUrl: string | undefined;
  private readonly start: SharedStart | undefined;
  private readonly obstacle: string | undefined;
  private readonly states = new Set<WasmState>();
  private limit: number;
  /** Whether `limit` is what somebody set; else an instance has its own. */
  private wasSet = false;

  /** Has tfjs's backend start on a shared heap, where threads are wanted and tfjs would not. */
  constructor(source: KernelSource, {numThreads, workerUrl}: OpenOptions) {
    this.asked = numThreads;
    this.workerUrl = workerUrl;
    this.limit = numThreads ?? defaultThreads();
    this.obstacle = this.limit === 1 ? undefined : whyNoThreads(source);
    if (isNode() && this.limit > 1 && this.obstacle === undefined) this.start = shareHeapAtStart();
    // tfjs itself takes a shared one on an isolated page alone.
    const expected =
      isNode() && (this.start === undefined ? hasSharedHeap() : this.start.reason === undefined);
    this.sharing = {expected, possible: expected || (!isNode() && typeof SharedArrayBuffer !== 'undefined')};
  }

  get most(): number {
    return this.asked ?? Math.max(defaultThreads(), ...Array.from(this.states, ({pool}) => pool?.most ?? 1));
  }

  get count(): number {
    if (this.obstacle !== undefined || this.start?.reason !== undefined) return 1;
    const counts = Array.from(this.states, ({pool}) => pool?.threads ?? 1);
    return counts.length === 0 ? this.limit : Math.max(...counts);
  }

  get reason(): string | undefined {
    if (this.limit === 1 || this.count > 1) return undefined;
    const pools = Array.from(this.states, ({pool}) => pool?.reason);
    return this.obstacle ?? this.start?.reason ?? pools.find((reason) => reason !== undefined) ?? UNSHARED;
  }

  set(count: number): void {
    this.limit = count;
    this.wasSet = true;
    for (const {pool} of this.states) pool?.setThreads(count);
  }

  /** What an instance of tfjs's backend is to have. */
  wishes({wasm}: TfjsWasmBackend): ThreadWishes {
    const tfjs = wasm?.tfjs?.getThreadsCount?.() ?? 1;
    const numThreads = this.asked ?? (tfjs > 1 ? tfjs : defaultThreads());
    return {numThreads: this.obstacle === undefined ? numThreads : 1, workerUrl: this.workerUrl};
  }

  join(state: WasmState): void {
    this.states.add(state);
    if (this.wasSet) state.pool?.setThreads(this.limit);
  }

  leave(state: WasmState): void {
    this.states.delete(state);
  }

  /** Has the backend start as it is again. */
  release(): void {
    this.start?.undo();
  }
}

const UNSHARED = isNode()
  ? "tfjs's heap is not shared: its backend was registered anew after registerIm2win()"
  : "tfjs's heap is not shared: a page has threads only if it is isolated (crossOriginIsolated), by the headers " +
    'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

function whyNoThreads(source: KernelSource): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return 'this host has no SharedArrayBuffer';
  if (Object.values(source).some(({compiled}) => compiled === true)) {
    return 'the kernels were given as a compiled module, which takes a memory that is not shared';
  }
  return whyNoWorkers();
}
