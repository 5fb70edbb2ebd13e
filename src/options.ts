import type {Im2winBackend} from './backend.ts';
import {BACKEND_NAMES} from './backend.ts';
import {checkNames, checkOneOf, describe, InvalidArgument, namingOp} from './describe.ts';
import type {Algorithm, Flavour} from './plan.ts';
import type {ServedKernels} from './served.ts';
import {MOST_THREADS} from './wasm/threads/control.ts';

/** What a registration is made with. */
export interface Im2winOptions {
  /** The tfjs backends to serve. Default: each one that was imported, as far as the host lets them be served. */
  backends?: Im2winBackend[];
  /**
   * The threads that compute on wasm, the calling one among them, from 1 to 16. Default: half of the cores, at least 2
   * where there are 2, at most 8; on a page where tfjs runs on threads, as many as it.
   */
  numThreads?: number;
  /**
   * Where the script of the threads' workers is to be loaded from, `im2win-worker.js` of this package, for pages whose
   * Content-Security-Policy forbids workers from `blob:` URLs. Node needs none.
   */
  workerUrl?: string;
  /**
   * The WebAssembly flavour: `'strict'` is plain SIMD, `'relaxed'` has fused
   * multiply-add as well. `'auto'`, the default, is the best that the engine has.
   */
  simd?: 'auto' | Flavour;
  /**
   * `'auto'`, the default: what the plan expects to be fastest. `'im2win'`: plain
   * im2win for all that is not tfjs's own to compute. `'winograd'`: Winograd's
   * minimal filtering wherever it applies, plain im2win elsewhere. `'stock'`:
   * tfjs's own kernels, except for the convolutions that they compute wrongly. What `optimizeModel` makes of
   * convolutions is no kernel of tfjs's, and is computed by im2win all the same.
   */
  algorithm?: Algorithm;
  /**
   * Which of tfjs's kernels are rerouted. `'all'`, the default: the convolutions, and on wasm the matrix products
   * (`tf.matMul`, dense layers) and what networks call around convolutions as well: arithmetic, functions such as sigmoid
   * and exp, batch norms, reductions, resizes, and what moves or fills data (concat, slice, pad, transpose, cast and
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
   * The most bytes that the packed filters of one filter may take together. There is one for each kind of
   * plan that its input sizes call for. A packed filter that has no room is packed at each call; a filter's
   * first one by plain im2win is always kept. The option bounds each packed filter of Winograd's as well:
   * where that would be larger, the plan takes a smaller m, or plain im2win. Default on wasm: what tfjs's own
   * kernel keeps of that convolution (two copies of the filter, and a pointer for each tap of each output
   * pixel). A packed filter of Winograd's that is larger, up to 8 MiB or twice the filter, is then packed at
   * each call where that pays. Default on cpu: 8 MiB, or twice the filter.
   *
   * A matrix product packs its second matrix where the first has more than some ten rows, and that is kept from its
   * second use on, within this bound: where packing takes a share of the time that counts, and by default only where
   * tfjs's own kernel keeps a copy as well, that is of two matrices without a batch, as they are.
   */
  maxPackedFilterBytes?: number;
}

const ALGORITHMS: readonly Algorithm[] = ['auto', 'im2win', 'winograd', 'stock'];
const SIMD = ['auto', 'relaxed', 'strict'] as const;
const KERNELS: readonly ServedKernels[] = ['all', 'convolutions'];
const OPTIONS = [
  'backends',
  'numThreads',
  'workerUrl',
  'simd',
  'algorithm',
  'kernels',
  'winograd',
  'maxPackedFilterBytes',
] as const;

/**
 * The values of options that are left out. That of `maxPackedFilterBytes` depends on the backend and the filter,
 * that of `numThreads` on the machine.
 */
export const DEFAULTS = {
  numThreads: undefined,
  workerUrl: undefined,
  simd: 'auto',
  algorithm: 'auto',
  kernels: 'all',
  winograd: true,
  maxPackedFilterBytes: undefined,
} as const;

/** @throws Error if there is no such option, or its value is not allowed. */
export function checkOptions(options: Im2winOptions): void {
  namingOp('registerIm2win', () => {
    checkNames(options, OPTIONS);
    const {backends, numThreads, workerUrl, simd, algorithm, kernels, winograd, maxPackedFilterBytes} =
      options;
    if (backends !== undefined) {
      if (!Array.isArray(backends) || backends.length === 0) {
        fail('backends', backends, `a list of at least one of ${BACKEND_NAMES.map(describe).join(', ')}`);
      }
      for (const backend of backends) checkOneOf('backends', backend, BACKEND_NAMES);
    }
    if (numThreads !== undefined) checkThreads(numThreads, MOST_THREADS);
    if (workerUrl !== undefined && (typeof workerUrl !== 'string' || workerUrl === '')) {
      fail('workerUrl', workerUrl, 'a URL, as a string that is not empty');
    }
    if (simd !== undefined) checkOneOf('simd', simd, SIMD);
    if (kernels !== undefined) checkOneOf('kernels', kernels, KERNELS);
    if (winograd !== undefined) checkOneOf('winograd', winograd, [true, false]);
    if (algorithm !== undefined) checkAlgorithm(algorithm, winograd);
    const bytes: unknown = maxPackedFilterBytes;
    if (bytes !== undefined && !(typeof bytes === 'number' && bytes >= 0)) {
      fail('maxPackedFilterBytes', bytes, 'a number of at least 0');
    }
  });
}

/** @throws InvalidArgument if there is no such algorithm, or it does not go with `winograd`. */
export function checkAlgorithm(algorithm: Algorithm, winograd: boolean | undefined): void {
  checkOneOf('algorithm', algorithm, ALGORITHMS);
  if (algorithm === 'winograd' && winograd === false) {
    throw new InvalidArgument("algorithm is 'winograd', but winograd is false; allowed with it: true.");
  }
}

/** @throws InvalidArgument if it is no number of threads, or more than there can be. */
export function checkThreads(numThreads: number, most: number, why = ''): void {
  if (!Number.isInteger(numThreads) || numThreads < 1 || numThreads > most) {
    fail('numThreads', numThreads, `a whole number from 1 to ${most}${why}`);
  }
}

/** @throws InvalidArgument if an option of `report()` is none, or not of those allowed. */
export function checkReportOptions(options: {readonly all?: boolean}): void {
  checkNames(options, ['all']);
  if (options.all !== undefined) checkOneOf('all', options.all, [true, false]);
}

function fail(name: string, value: unknown, allowed: string): never {
  throw new InvalidArgument(`${name} is ${describe(value)}; allowed: ${allowed}.`);
}

/**
 * Checks the options of a later caller, who may leave some out, but not ask for other values. Further
 * backends are added, unless the first caller listed them.
 *
 * @throws Error if it does.
 */
export function checkSame(held: Im2winOptions, asked: Im2winOptions): void {
  const refuse = (name: (typeof OPTIONS)[number], before: unknown) => {
    throw new Error(
      `registerIm2win: ${name} is ${describe(asked[name])}, but im2win is registered with ${before === undefined ? 'its default' : describe(before)}; ` +
        'call unregister() on that registration first, or leave the option out.',
    );
  };
  const {backends} = held;
  if (backends !== undefined && asked.backends?.some((name) => !backends.includes(name))) {
    refuse('backends', backends);
  }
  for (const name of OPTIONS) {
    if (name === 'backends') continue;
    const before = held[name] ?? DEFAULTS[name];
    if (asked[name] !== undefined && asked[name] !== before) refuse(name, before);
  }
}
