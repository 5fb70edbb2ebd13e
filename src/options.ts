import type {Im2winBackend} from './backend.ts';
import {BACKEND_NAMES} from './backend.ts';
import {describe} from './describe.ts';
import type {Algorithm, Flavour} from './plan.ts';
import type {ServedKernels} from './served.ts';

/** What a registration is made with. */
export interface Im2winOptions {
  /** The tfjs backends to serve. Default: each one that was imported, as far as the host lets them be served. */
  backends?: Im2winBackend[];
  /**
   * The WebAssembly flavour: `'strict'` is plain SIMD, `'relaxed'` has fused
   * multiply-add as well. `'auto'`, the default, is the best that the engine has.
   */
  simd?: 'auto' | Flavour;
  /**
   * `'auto'`, the default: what the plan expects to be fastest. `'im2win'`: plain
   * im2win for all that is not tfjs's own to compute. `'winograd'`: Winograd's
   * minimal filtering wherever it applies, plain im2win elsewhere. `'stock'`:
   * tfjs's own kernels, except for the convolutions that they compute wrongly.
   */
  algorithm?: Algorithm;
  /**
   * Which of tfjs's kernels are rerouted. `'all'`, the default: the convolutions, and on wasm the kernels that only
   * move or fill data as well (concat, slice, split, stack, unstack, pad, tile, transpose, cast, clone, fill and
   * such). `'convolutions'`: no others.
   */
  kernels?: ServedKernels;
  /**
   * `false` keeps to plain im2win, whose rounding errors are smaller and whose
   * packed filters are as large as the filters, output channels rounded up to a
   * multiple of 8. Default: true.
   */
  winograd?: boolean;
  /**
   * Bytes that all packed filters kept of one filter may take together, one for each kind of plan that its input
   * sizes call for; one that has no room is packed at each call. It is also what a single one may take that
   * Winograd makes larger than the filter: beyond it the plan takes a smaller m, and plain im2win at last. A
   * filter's first packing by plain im2win is kept whatever it takes. Default on wasm: what tfjs's own kernel keeps
   * of that convolution (two copies of the filter and a pointer for each tap of each output pixel). One by Winograd that is
   * larger than that, up to 8 MiB or twice the filter, is packed at each call where that pays. Default on
   * cpu: 8 MiB, or twice the filter.
   */
  maxPackedFilterBytes?: number;
}

const ALGORITHMS: readonly Algorithm[] = ['auto', 'im2win', 'winograd', 'stock'];
const SIMD = ['auto', 'relaxed', 'strict'] as const;
const KERNELS: readonly ServedKernels[] = ['all', 'convolutions'];
const OPTIONS = ['backends', 'simd', 'algorithm', 'kernels', 'winograd', 'maxPackedFilterBytes'] as const;

/** What an option is that was left out; for `maxPackedFilterBytes` it depends on the backend and the filter. */
export const DEFAULTS = {
  simd: 'auto',
  algorithm: 'auto',
  kernels: 'all',
  winograd: true,
  maxPackedFilterBytes: undefined,
} as const;

/** @throws Error if an option is none, or not of those allowed. */
export function checkOptions(options: Im2winOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Error(`registerIm2win: options is ${describe(options)}; allowed: an object.`);
  }
  for (const name of Object.keys(options)) checkOption('registerIm2win: an option', name, OPTIONS);
  const {backends, simd, algorithm, kernels, winograd, maxPackedFilterBytes} = options;
  if (backends !== undefined) {
    if (!Array.isArray(backends) || backends.length === 0) {
      throw new Error(
        `registerIm2win: backends is ${describe(backends)}; allowed: a list of ${names(BACKEND_NAMES)}.`,
      );
    }
    for (const backend of backends) checkOption('registerIm2win: backends', backend, BACKEND_NAMES);
  }
  if (simd !== undefined) checkOption('registerIm2win: simd', simd, SIMD);
  if (kernels !== undefined) checkOption('registerIm2win: kernels', kernels, KERNELS);
  if (winograd !== undefined) checkOption('registerIm2win: winograd', winograd, [true, false]);
  if (algorithm !== undefined) checkAlgorithm('registerIm2win', algorithm, winograd);
  if (
    maxPackedFilterBytes !== undefined &&
    !(typeof maxPackedFilterBytes === 'number' && maxPackedFilterBytes >= 0)
  ) {
    throw new Error(
      `registerIm2win: maxPackedFilterBytes is ${describe(maxPackedFilterBytes)}; allowed: a number of at least 0.`,
    );
  }
}

/** @throws Error if it is none, or none that goes with `winograd`. */
export function checkAlgorithm(caller: string, algorithm: Algorithm, winograd: boolean | undefined): void {
  checkOption(`${caller}: algorithm`, algorithm, ALGORITHMS);
  if (algorithm === 'winograd' && winograd === false) {
    throw new Error(`${caller}: algorithm is 'winograd', but winograd is false; allowed with it: true.`);
  }
}

/** @throws Error if an option of `report()` is none, or not of those allowed. */
export function checkReportOptions(options: {readonly all?: boolean}): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Error(`report: options is ${describe(options)}; allowed: an object.`);
  }
  for (const name of Object.keys(options)) checkOption('report: an option', name, ['all']);
  if (options.all !== undefined) checkOption('report: all', options.all, [true, false]);
}

function checkOption(name: string, value: unknown, allowed: readonly unknown[]): void {
  if (!allowed.includes(value)) {
    throw new Error(`${name} is ${describe(value)}; allowed: ${names(allowed)}.`);
  }
}

function names(values: readonly unknown[]): string {
  return values.map(describe).join(', ');
}

/**
 * A later caller may leave options out, but not ask for others. Backends are not others: they are
 * added, except to a list.
 *
 * @throws Error if it does.
 */
export function checkSame(held: Im2winOptions, asked: Im2winOptions): void {
  const refuse = (name: (typeof OPTIONS)[number], before: unknown) => {
    throw new Error(
      `registerIm2win: ${name} is ${describe(asked[name])}, but im2win is registered with ${describe(before)}; ` +
        'call unregister() on that registration first, or leave the option out.',
    );
  };
  const {backends} = held;
  if (backends !== undefined && asked.backends?.some((name) => !backends.includes(name))) {
    refuse('backends', backends);
  }
  for (const name of ['simd', 'algorithm', 'kernels', 'winograd', 'maxPackedFilterBytes'] as const) {
    const before = held[name] ?? DEFAULTS[name];
    if (asked[name] !== undefined && asked[name] !== before) refuse(name, before);
  }
}
