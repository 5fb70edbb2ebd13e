import type {Backend, Im2winMemory, OpenBackend} from '../backend.ts';
import {CONV_KERNELS} from '../convKernels.ts';
import type {CallContext, Family, Kernel, Route} from '../family.ts';
import type {Flavour, PlanWishes} from '../plan.ts';
import {wasmConvolutions} from './convolution.ts';
import type {KernelModules} from './module.ts';
import {wasmMoves} from './moves.ts';
import {openKernels} from './source.ts';
import {type StateOf, threadCount, WasmState} from './state.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

const FAMILIES: readonly ((stateOf: StateOf) => Family)[] = [wasmConvolutions, wasmMoves];

export const WASM: Backend = {
  name: 'wasm',
  package: '@tensorflow/tfjs-backend-wasm',
  kernels: CONV_KERNELS,
  async open(source, simd) {
    const modules = await openKernels(source, simd, mayBeShared());
    return typeof modules === 'string' ? modules : new OpenWasm(modules);
  },
};

/** tfjs's threaded build, on a shared memory, does not run in Node. */
function mayBeShared(): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && globalThis.process?.versions?.node === undefined;
}

/** Our kernels, on each instance of tfjs's wasm backend. */
class OpenWasm implements OpenBackend {
  readonly flavour: Flavour;
  readonly families = FAMILIES.map((make) => make((instance, kernel) => this.readyState(instance, kernel)));
  private readonly states = new Map<object, WasmState | string>();
  private readonly modules: KernelModules;

  constructor(modules: KernelModules) {
    this.modules = modules;
    this.flavour = modules.flavour;
  }

  context(instance: object, wishes: PlanWishes): CallContext {
    const state = this.stateOf(instance);
    return {
      ...wishes,
      target: this.flavour,
      threads: threadCount(instance as TfjsWasmBackend),
      unavailable: typeof state === 'string' ? state : undefined,
    };
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
    for (const one of instances) {
      const state = this.states.get(one);
      if (state instanceof WasmState) state.release();
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
    const state = WasmState.create(instance as TfjsWasmBackend, this.modules);
    this.states.set(instance, state);
    return state;
  }
}
