import {getKernel, type KernelConfig, type KernelFunc, type TensorInfo} from '@tensorflow/tfjs-core';
import type {Backend, BackendThreads, Im2winBackend, Im2winMemory, OpenBackend} from './backend.ts';
import type {Call, Family, Kernel} from './family.ts';
import type {Flavour, PlanWishes} from './plan.ts';
import {replaceKernel} from './registry.ts';
import {type KernelRecord, Routes} from './routes.ts';

type KernelArgs = Parameters<KernelFunc>[0];

/** Convolutions alone, or every family there is. */
export type ServedKernels = 'all' | 'convolutions';

interface Routed {
  readonly family: Family;
  readonly routes: Routes;
}

/** Whether a tfjs backend was imported, and with it a kernel to replace. */
export function isImported({name, kernels}: Backend): boolean {
  return kernels.some((kernel) => getKernel(kernel.name, name) !== undefined);
}

/** A backend whose kernels are ours, in tfjs's registry. */
export class ServedBackend {
  readonly name: Im2winBackend;
  /** The kernels' flavour, on wasm. */
  readonly flavour?: Flavour;
  /** Each family has its own: the many calls of one push none of another out. */
  private readonly routes: ReadonlyMap<Family, Routes>;
  private readonly wishes: () => PlanWishes;
  private readonly open: OpenBackend;
  private readonly restore: (() => void)[];
  private active = true;

  /**
   * Replaces the kernels that are there, and adds those that tfjs has not.
   *
   * @param kernels Which families.
   */
  constructor({name}: Backend, open: OpenBackend, wishes: () => PlanWishes, kernels: ServedKernels = 'all') {
    this.name = name;
    this.flavour = open.flavour;
    const families = open.families.filter(({secondary}) => kernels === 'all' || !secondary);
    this.routes = new Map(
      families.map((family) => [family, new Routes(name, (route) => open.forget(route))]),
    );
    this.open = open;
    this.wishes = wishes;
    this.restore = [...this.routes].flatMap(([family, routes]) =>
      family.kernels
        .filter((kernel) => kernel.added || getKernel(kernel.name, name) !== undefined)
        .map((kernel) =>
          replaceKernel(kernel.name, name, (stock) =>
            stock === undefined
              ? this.added({family, routes}, kernel)
              : this.replaced({family, routes}, kernel, stock),
          ),
        ),
    );
  }

  get threads(): BackendThreads | undefined {
    return this.open.threads;
  }

  /** @param all Also of secondary families. */
  report(all = false): KernelRecord[] {
    const whyOneThread = this.threads?.reason;
    const records = [...this.routes].flatMap(([{secondary}, routes]) =>
      all || !secondary ? routes.report() : [],
    );
    if (whyOneThread === undefined) return records;
    return records.map((record) => (record.algorithm === 'stock' ? record : {...record, whyOneThread}));
  }

  memory(): Im2winMemory {
    return this.open.memory();
  }

  /** Puts tfjs's own kernels back, and gives all memory back. */
  unregister(): void {
    this.active = false;
    for (const restore of this.restore) restore();
    this.open.release();
  }

  /** A kernel that tfjs has not: there is nothing to fall back to. */
  private added(of: Routed, kernel: Kernel): KernelConfig {
    return {
      kernelName: kernel.name,
      backendName: this.name,
      kernelFunc: (args) => {
        if (!this.active) throw new Error(`im2win: ${kernel.name} was unregistered.`);
        const wishes = this.wishes();
        const result = this.run(
          of,
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
      disposeFunc: (instance) => this.open.release(instance),
    };
  }

  private replaced(of: Routed, kernel: Kernel, stock: KernelConfig): KernelConfig {
    return {
      ...stock,
      // Another library may hold on to this config longer than we are registered.
      kernelFunc: (args) => {
        if (!this.active || of.family.leaves?.(kernel, args as unknown as Call))
          return stock.kernelFunc(args);
        const result = this.run(of, kernel, args, this.wishes());
        return typeof result === 'string' ? stock.kernelFunc(args) : result;
      },
    };
  }

  /** @returns The output, or why the stock kernel is to compute it. */
  private run(
    {family, routes}: Routed,
    kernel: Kernel,
    args: KernelArgs,
    wishes: PlanWishes,
  ): TensorInfo | TensorInfo[] | string {
    const call = args as unknown as Call;
    const route = routes.find(family, kernel, call, this.open.context(call.backend, wishes));
    return route.reason ?? family.compute(kernel, call, route);
  }
}
