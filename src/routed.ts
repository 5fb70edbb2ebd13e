import {getKernel, type KernelConfig, type KernelFunc, type TensorInfo} from '@tensorflow/tfjs-core';
import type {PlanContext, PlanWishes} from './plan.ts';
import {replaceKernel} from './reroute.ts';
import {type ConvInputs, type FusedConvAttributes, type Route, Routes} from './routes.ts';
import {CONV_KERNELS, type ConvKernel, type Im2winBackend, OWN_KERNEL} from './tfjsKernels.ts';

type KernelArgs = Parameters<KernelFunc>[0];
type KernelBackend = KernelArgs['backend'];

/** A call that is ours: its route and what it is given. */
export interface RoutedCall {
  readonly kernel: ConvKernel;
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
  /** Gives back what is kept of a route that no call will have again. */
  forget(route: Route): void;
  /** Gives back what an instance holds; of all of them if none is named. */
  release(backend?: KernelBackend): void;
}

/** Whether a tfjs backend was imported, and with it a kernel to reroute. */
export function kernelsRegistered(backendName: Im2winBackend): boolean {
  return CONV_KERNELS.some(({name}) => getKernel(name, backendName) !== undefined);
}

/** The kernels of one tfjs backend, rerouted. */
export class RoutedBackend {
  readonly name: Im2winBackend;
  readonly routes: Routes;
  private readonly wishes: () => PlanWishes;
  private readonly convolution: BackendConvolution;
  private readonly restore: (() => void)[];
  private active = true;

  /** Registers `Im2winConv2D` and reroutes the kernels that are there. */
  constructor(name: Im2winBackend, convolution: BackendConvolution, wishes: () => PlanWishes) {
    this.name = name;
    this.routes = new Routes(name, (route) => convolution.forget(route));
    this.convolution = convolution;
    this.wishes = wishes;
    this.restore = [OWN_KERNEL, ...CONV_KERNELS]
      .filter(({backends}) => backends.includes(name))
      // A tree-shaken build of tfjs has left out what its models do not call.
      .filter(
        (kernel) =>
          kernel === OWN_KERNEL || kernel.computes !== 'output' || getKernel(kernel.name, name) !== undefined,
      )
      .map((kernel) =>
        replaceKernel(kernel.name, name, (stock) =>
          stock === undefined ? this.added(kernel) : this.rerouted(kernel, stock),
        ),
      );
  }

  /** Stock kernels again, everything given back. */
  unregister(): void {
    this.active = false;
    for (const restore of this.restore) restore();
    this.convolution.release();
  }

  /** A kernel that tfjs has not: there is nothing to fall back to. */
  private added(kernel: ConvKernel): KernelConfig {
    return {
      kernelName: kernel.name,
      backendName: this.name,
      kernelFunc: (args) => {
        if (!this.active) throw new Error(`im2win: ${kernel.name} was unregistered.`);
        const wishes = this.wishes();
        const result = this.run(
          kernel,
          args,
          wishes.algorithm === 'stock' ? {...wishes, algorithm: 'auto'} : wishes,
        );
        if (typeof result === 'string') {
          throw new Error(
            `im2win: cannot compute ${kernel.name} (${result}), and tfjs has no kernel for it.`,
          );
        }
        return result;
      },
      disposeFunc: (backend) => this.convolution.release(backend as unknown as KernelBackend),
    };
  }

  private rerouted(kernel: ConvKernel, stock: KernelConfig): KernelConfig {
    return {
      ...stock,
      // Another library may hold on to this config longer than we are registered.
      kernelFunc: (args) => {
        const result = this.active ? this.run(kernel, args, this.wishes()) : 'unregistered';
        return typeof result === 'string' ? stock.kernelFunc(args) : result;
      },
    };
  }

  /** @returns The output, or why the stock kernel is to compute it. */
  private run(kernel: ConvKernel, args: KernelArgs, wishes: PlanWishes): TensorInfo | string {
    const inputs = args.inputs as unknown as ConvInputs;
    const attributes = args.attrs as unknown as FusedConvAttributes;
    const context = this.convolution.context(args.backend, wishes);
    const route = this.routes.find(kernel, inputs, attributes, context);
    if (route.plan.algorithm === 'stock') return route.plan.reason;
    return this.convolution.compute({kernel, backend: args.backend, inputs, attributes, route});
  }
}
