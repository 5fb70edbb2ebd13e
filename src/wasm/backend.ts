import type {Backend, Im2winMemory, OpenBackend} from '../backend.ts';
import type {CallContext, Family, Kernel, Route} from '../family.ts';
import type {Flavour, PlanWishes} from '../plan.ts';
import {wasmAround} from './around.ts';
import {wasmConvolutions} from './convolution.ts';
import {wasmMatMuls} from './matMul.ts';
import type {KernelModules} from './module.ts';
import {openKernels} from './source.ts';
import {type StateOf, WasmState} from './state.ts';
import type {TfjsWasmBackend} from './tfjs.ts';
import {WasmThreads} from './threads/threads.ts';

const FAMILIES: readonly ((stateOf: StateOf) => Family)[] = [wasmConvolutions, wasmMatMuls, wasmAround];

/** What there is before the backend is served. */
const noState: StateOf = (_, kernel) => {
  throw new Error(`im2win: ${kernel.name} is not served yet.`);
};

export const WASM: Backend = {
  name: 'wasm',
  package: '@tensorflow/tfjs-backend-wasm',
  get kernels() {
    return FAMILIES.flatMap((make) => make(noState).kernels);
  },
  // Until it first awaits something, it runs before the call of registerIm2win returns: tfjs may start the backend then.
  async open(source, options) {
    const threads = new WasmThreads(source, options);
    try {
      const modules = await openKernels(source, options.simd, threads.sharing);
      if (typeof modules !== 'string') return new OpenWasm(modules, threads);
      threads.release();
      return modules;
    } catch (error) {
      threads.release();
      throw error;
    }
  },
};

/** Our kernels, on each instance of tfjs's wasm backend. */
class OpenWasm implements OpenBackend {
  readonly flavour: Flavour;
  readonly families = FAMILIES.map((make) => make((instance, kernel) => this.readyState(instance, kernel)));
  private readonly states = new Map<object, WasmState | string>();
  /** The last call's, which is the next one's, too, unless somebody asks for another algorithm. */
  private last:
    | {readonly instance: object; readonly wishes: PlanWishes; readonly context: CallContext}
    | undefined;
  private readonly modules: KernelModules;
  readonly threads: WasmThreads;

  constructor(modules: KernelModules, threads: WasmThreads) {
    this.modules = modules;
    this.threads = threads;
    this.flavour = modules.flavour;
  }

  context(instance: object, wishes: PlanWishes): CallContext {
    if (this.last?.instance !== instance || this.last.wishes !== wishes) {
      const state = this.stateOf(instance);
      const unavailable = typeof state === 'string' ? state : undefined;
      this.last = {instance, wishes, context: {...wishes, target: this.flavour, unavailable}};
    }
    return this.last.context;
  }

  memory(): Im2winMemory {
    const memory = {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
    for (const {workspace, filters, heap} of this.liveStates()) {
      memory.workspaceBytes += workspace.bytes;
      memory.filterBytes += filters.bytes;
      memory.ownBytes += heap.ownBytes;
    }
    return memory;
  }

  forget(route: Route): void {
    for (const state of this.liveStates()) state.jobs.forget(route);
  }

  release(instance?: object): void {
    const instances = instance === undefined ? [...this.states.keys()] : [instance];
    this.last = undefined;
    if (instance === undefined) this.threads.release();
    for (const one of instances) {
      const state = this.states.get(one);
      if (state instanceof WasmState) {
        this.threads.leave(state);
        state.release();
      }
      this.states.delete(one);
    }
  }

  private liveStates(): WasmState[] {
    return [...this.states.values()].filter((state) => state instanceof WasmState);
  }

  /** @throws Error if the instance has none. */
  private readyState(instance: object, kernel: Kernel): WasmState {
    const state = this.stateOf(instance);
    if (typeof state === 'string') throw new Error(`im2win: cannot compute ${kernel.name}: ${state}.`);
    return state;
  }

  private stateOf(instance: object): WasmState | string {
    const known = this.states.get(instance);
    if (known !== undefined) return known;
    const backend = instance as TfjsWasmBackend;
    const state = WasmState.create(backend, this.modules, this.threads.wishes(backend));
    this.states.set(instance, state);
    if (state instanceof WasmState) this.threads.join(state);
    return state;
  }
}
