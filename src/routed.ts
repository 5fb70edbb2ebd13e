import {
  Conv2D,
  DepthwiseConv2dNative,
  FusedConv2D,
  FusedDepthwiseConv2D,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type {PlanContext, PlanWishes} from './plan.ts';
import {replaceKernel} from './reroute.ts';
import {
  type BackendName,
  type ConvInputs,
  type FusedConvAttributes,
  IM2WIN_CONV_2D,
  type Route,
  Routes,
} from './routes.ts';

const REROUTED = [Conv2D, FusedConv2D, DepthwiseConv2dNative, FusedDepthwiseConv2D];

type KernelArgs = Parameters<KernelFunc>[0];
type KernelBackend = KernelArgs['backend'];

/** A call that is ours: its route and what it is given. */
export interface RoutedCall {
  readonly kernelName: string;
  readonly backend: KernelBackend;
  readonly inputs: ConvInputs;
  readonly attributes: FusedConvAttributes;
  readonly route: Route;
}

/** What differs from backend to backend. */
export interface BackendConvolution {
  /** Where a convolution would run, to plan it. */
  context(backend: KernelBackend, wishes: PlanWishes): PlanContext;
  compute(call: RoutedCall): TensorInfo;
  /** Gives back what an instance holds; of all of them if none is named. */
  release(backend?: KernelBackend): void;
}

/** Whether a tfjs backend was imported, and with it a kernel to reroute. */
export function kernelsRegistered(backendName: BackendName): boolean {
  return REROUTED.some((name) => getKernel(name, backendName) !== undefined);
}

/** The kernels of one tfjs backend, rerouted. */
export class RoutedBackend {
  readonly name: BackendName;
  readonly routes: Routes;
  wishes: PlanWishes;
  private readonly convolution: BackendConvolution;
  private readonly restore: (() => void)[];
  private active = true;

  /** Registers `Im2winConv2D` and reroutes the kernels that are there. */
  constructor(name: BackendName, convolution: BackendConvolution, wishes: PlanWishes) {
    this.name = name;
    this.routes = new Routes(name);
    this.convolution = convolution;
    this.wishes = wishes;
    this.restore = [
      replaceKernel(IM2WIN_CONV_2D, name, () => ({
        kernelName: IM2WIN_CONV_2D,
        backendName: name,
        kernelFunc: (args) => {
          if (!this.active) throw new Error(`im2win: ${IM2WIN_CONV_2D} was unregistered.`);
          return this.run(IM2WIN_CONV_2D, args) as TensorInfo;
        },
        disposeFunc: (backend) => this.convolution.release(backend),
      })),
      ...REROUTED.filter((kernel) => getKernel(kernel, name) !== undefined).map((kernel) =>
        replaceKernel(kernel, name, (stock) => this.rerouted(stock as KernelConfig)),
      ),
    ];
  }

  /** Stock kernels again, everything given back. */
  unregister(): void {
    this.active = false;
    for (const restore of this.restore) restore();
    this.convolution.release();
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
    const inputs = args.inputs as unknown as ConvInputs;
    const attributes = args.attrs as unknown as FusedConvAttributes;
    const context = this.convolution.context(args.backend, this.wishes);
    const route = this.routes.find(kernelName, inputs, attributes, context);
    if (route.plan.algorithm === 'stock') return undefined;
    return this.convolution.compute({kernelName, backend: args.backend, inputs, attributes, route});
  }
}
