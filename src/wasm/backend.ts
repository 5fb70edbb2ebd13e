import {
  Conv2D,
  FusedConv2D,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type {Algorithm, Flavour, PlanContext} from '../plan.ts';
import {replaceKernel} from '../reroute.ts';
import {type ConvInputs, type FusedConvAttributes, IM2WIN_CONV_2D, type Route, Routes} from '../routes.ts';
import {type ConvOperand, runConv2d} from './conv2d.ts';
import type {KernelModules} from './module.ts';
import {threadCount, WasmState} from './state.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

const BACKEND = 'wasm';
const REROUTED = [Conv2D, FusedConv2D];

type KernelArgs = Parameters<KernelFunc>[0];

/** Whether tfjs's wasm backend was imported, and with it a kernel to reroute. */
export function wasmKernelsRegistered(): boolean {
  return REROUTED.some((name) => getKernel(name, BACKEND) !== undefined);
}

/** im2win on tfjs's wasm backend, on each of its instances. */
export class WasmIm2win {
  readonly routes = new Routes(BACKEND);
  private readonly states = new Map<TfjsWasmBackend, WasmState | string>();
  private readonly restore: (() => void)[];
  private active = true;
  private readonly flavour: Flavour;
  private readonly modules: KernelModules;
  algorithm: Algorithm;

  /** Registers `Im2winConv2D` and reroutes the kernels that are there. */
  constructor(flavour: Flavour, modules: KernelModules, algorithm: Algorithm) {
    this.flavour = flavour;
    this.modules = modules;
    this.algorithm = algorithm;
    this.restore = [
      replaceKernel(IM2WIN_CONV_2D, BACKEND, () => ({
        kernelName: IM2WIN_CONV_2D,
        backendName: BACKEND,
        kernelFunc: (args) => {
          if (!this.active) throw new Error(`im2win: ${IM2WIN_CONV_2D} was unregistered.`);
          return this.run(IM2WIN_CONV_2D, args) as TensorInfo;
        },
        disposeFunc: (backend) => this.dropState(backend as unknown as TfjsWasmBackend),
      })),
      ...REROUTED.filter((name) => getKernel(name, BACKEND) !== undefined).map((name) =>
        replaceKernel(name, BACKEND, (stock) => this.rerouted(stock as KernelConfig)),
      ),
    ];
  }

  /** Stock kernels again, every byte given back. */
  unregister(): void {
    this.active = false;
    for (const restore of this.restore) restore();
    for (const backend of [...this.states.keys()]) this.dropState(backend);
  }

  liveStates(): WasmState[] {
    return [...this.states.values()].filter((state) => state instanceof WasmState);
  }

  private rerouted(stock: KernelConfig): KernelConfig {
    return {
      ...stock,
      // Another library may hold on to this config longer than we are registered.
      kernelFunc: (args) => (this.active && this.run(stock.kernelName, args)) || stock.kernelFunc(args),
    };
  }

  /** @returns The output, or `undefined` if the stock kernel is to compute it. */
  private run(kernelName: string, args: KernelArgs): TensorInfo | undefined {
    const backend = args.backend as unknown as TfjsWasmBackend;
    const inputs = args.inputs as unknown as ConvInputs;
    const attributes = args.attrs as unknown as FusedConvAttributes;
    const state = this.stateOf(backend);
    const context: PlanContext = {
      algorithm: this.algorithm,
      flavour: this.flavour,
      threads: threadCount(backend),
      unavailable: typeof state === 'string' ? state : undefined,
    };
    const route = this.routes.find(kernelName, inputs, attributes, context);
    if (route.plan.algorithm === 'stock') return undefined;
    if (typeof state === 'string') throw new Error(`im2win: cannot compute ${kernelName}: ${state}.`);
    return runConv2d(state, route.geometry, route.plan, tensors(inputs, route), {
      activation: route.activation,
      leakyreluAlpha: attributes.leakyreluAlpha ?? 0.2,
    });
  }

  private stateOf(backend: TfjsWasmBackend): WasmState | string {
    const known = this.states.get(backend);
    if (known !== undefined) return known;
    const state = WasmState.create(backend, this.modules);
    this.states.set(backend, state);
    return state;
  }

  private dropState(backend: TfjsWasmBackend): void {
    const state = this.states.get(backend);
    if (state instanceof WasmState) state.release();
    this.states.delete(backend);
  }
}

function tensors({x, filter, bias, preluActivationWeights}: ConvInputs, route: Route) {
  return {x, filter, bias: operand(bias, route.bias), slope: operand(preluActivationWeights, route.slope)};
}

function operand(tensor: TensorInfo | undefined, strides: Route['bias']): ConvOperand | undefined {
  return tensor == null || strides === undefined ? undefined : {tensor, strides};
}
