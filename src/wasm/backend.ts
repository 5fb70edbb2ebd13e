import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {PlanContext, PlanWishes} from '../plan.ts';
import type {BackendConvolution, RoutedCall} from '../routed.ts';
import type {ConvInputs, Route} from '../routes.ts';
import {runConv2d} from './conv2d.ts';
import {
  gradientJob,
  phaseJob,
  runDepthwiseInputGradient,
  runFilterGradient,
  runTransposed,
} from './gradients.ts';
import {ConvJob} from './job.ts';
import type {KernelModules} from './module.ts';
import {threadCount, WasmState} from './state.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

/** im2win on tfjs's wasm backend, on each of its instances. */
export class WasmConvolution implements BackendConvolution {
  private readonly states = new Map<TfjsWasmBackend, WasmState | string>();
  private readonly modules: KernelModules;

  constructor(modules: KernelModules) {
    this.modules = modules;
  }

  context(backend: unknown, wishes: PlanWishes): PlanContext {
    const instance = backend as TfjsWasmBackend;
    const state = this.stateOf(instance);
    return {
      ...wishes,
      backend: 'wasm',
      flavour: this.modules.flavour,
      threads: threadCount(instance),
      unavailable: typeof state === 'string' ? state : undefined,
    };
  }

  compute({kernel, backend, inputs, attributes, route}: RoutedCall): TensorInfo {
    const state = this.stateOf(backend as unknown as TfjsWasmBackend);
    if (typeof state === 'string') throw new Error(`im2win: cannot compute ${kernel.name}: ${state}.`);
    const {geometry, plan} = route;
    // Which of them are there, the route has checked.
    const {x, filter, dy, bias, preluActivationWeights} = inputs as Required<ConvInputs>;
    switch (plan.algorithm) {
      case 'stock':
        throw new Error(`im2win: ${kernel.name} is planned for stock.`);
      case 'transposed': {
        const {heap, jobs} = state;
        const own = jobs.get(route, plan.phases.length, (i, at) => phaseJob(heap, at, plan, plan.phases[i]));
        return runTransposed(state, geometry, plan, own, {dy, filter});
      }
      case 'gradient': {
        const {heap, jobs} = state;
        const [job] = jobs.get(route, 1, (_, at) => gradientJob(heap, at, geometry, plan));
        return kernel.computes === 'inputGradient'
          ? runDepthwiseInputGradient(state, geometry, job, {dy, filter})
          : runFilterGradient(state, geometry, plan, job, {x, dy});
      }
      default: {
        // An empty output has no windows.
        if (geometry.outShape.includes(0)) return state.backend.makeOutput([...geometry.outShape], 'float32');
        const [job] = state.jobs.get(route, 1, (_, at) => new ConvJob(state.heap, at, {...route, plan}));
        const alpha = attributes.leakyreluAlpha ?? 0.2;
        return runConv2d(state, job, {x, filter, bias, slope: preluActivationWeights, alpha});
      }
    }
  }

  forget(route: Route): void {
    for (const state of this.liveStates()) state.jobs.forget(route);
  }

  release(backend?: unknown): void {
    const instances = backend === undefined ? [...this.states.keys()] : [backend as TfjsWasmBackend];
    for (const instance of instances) {
      const state = this.states.get(instance);
      if (state instanceof WasmState) state.release();
      this.states.delete(instance);
    }
  }

  liveStates(): WasmState[] {
    return [...this.states.values()].filter((state) => state instanceof WasmState);
  }

  private stateOf(backend: TfjsWasmBackend): WasmState | string {
    const known = this.states.get(backend);
    if (known !== undefined) return known;
    const state = WasmState.create(backend, this.modules);
    this.states.set(backend, state);
    return state;
  }
}
