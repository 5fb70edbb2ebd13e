import {registerGradient, unregisterGradient} from '@tensorflow/tfjs-core';
import {CpuConvolution} from './cpu/backend.ts';
import {describe} from './describe.ts';
import {im2winGradient} from './gradient.ts';
import type {Algorithm, Flavour} from './plan.ts';
import {kernelsRegistered, RoutedBackend} from './routed.ts';
import type {ConvolutionRecord} from './routes.ts';
import type {Im2winBackend} from './tfjsKernels.ts';
import {WasmConvolution} from './wasm/backend.ts';
import {bestFlavour, supports} from './wasm/detect.ts';
import {type KernelSource, openKernels} from './wasm/source.ts';

/** What a registration is made with. */
export interface Im2winOptions {
  /** The tfjs backends to serve. Default: each one that was imported. */
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
   * `false` keeps to plain im2win, whose rounding errors are smaller and whose
   * packed filters are as large as the filters, output channels rounded up to a
   * multiple of 8. Default: true.
   */
  winograd?: boolean;
  /**
   * Bytes that one packed filter may take if Winograd would make it larger than
   * the filter; beyond them the plan takes a smaller m, and plain im2win at last.
   * All that are smaller are kept. Default: on wasm none is kept that is larger than
   * what tfjs's own kernel keeps (two copies of the filter and a pointer for each tap
   * of each output pixel); such a filter, up to 8 MiB or twice its own size, is packed
   * at each call where that pays. On cpu 8 MiB, or twice the filter.
   */
  maxPackedFilterBytes?: number;
}

/** What im2win holds of the wasm backend's heaps, in bytes. */
export interface Im2winMemory {
  /** Scratch memory: a block's windows and products, and a filter that each call packs. */
  workspaceBytes: number;
  /** Packed filters, each kept until its tensor's data is freed. */
  filterBytes: number;
  /** Both, and what aligning them to cache lines costs. */
  ownBytes: number;
}

/** What {@link registerIm2win} returns: one for all copies of this package. */
export interface Im2winRegistration {
  /** The backends that are served; `'wasm'` is not on an engine without SIMD. */
  readonly backends: readonly Im2winBackend[];
  /**
   * The flavour in use; `'none'` where wasm is not served, as on an engine without SIMD:
   * nothing is routed there then.
   */
  readonly simd: Flavour | 'none';
  /**
   * Changes the algorithm from the next call on. Packed filters stay, so that
   * two algorithms can be compared in turn.
   *
   * @throws Error if it is not one of the four names.
   */
  setAlgorithm(algorithm: Algorithm): void;
  /**
   * One record for each distinct convolution seen since registration, at most
   * 1,000 a backend. A convolution that ran by two algorithms has two.
   */
  report(): ConvolutionRecord[];
  /** What is held at this moment, on all instances of the backends together. */
  memory(): Im2winMemory;
  /**
   * Puts tfjs's own kernels back, where no other library has put its own in our
   * place since, and gives all heap memory back.
   */
  unregister(): void;
}

interface Held {
  readonly options: Im2winOptions;
  readonly registration: Promise<Im2winRegistration>;
}

// tfjs's kernel registry is global, and this module may be loaded twice.
const HELD = Symbol.for('tfjs-im2win.registration.1');
const globals = globalThis as {[HELD]?: Held};

const ALGORITHMS: readonly Algorithm[] = ['auto', 'im2win', 'winograd', 'stock'];
const SIMD = ['auto', 'relaxed', 'strict'] as const;
const OPTIONS = ['backends', 'simd', 'algorithm', 'winograd', 'maxPackedFilterBytes'] as const;
const BACKENDS: readonly Im2winBackend[] = ['wasm', 'cpu'];

/**
 * The one registration, with kernels from `source`.
 *
 * @throws Error as `registerIm2win` does; nothing is changed then.
 */
export async function registerWith(
  source: KernelSource,
  options: Im2winOptions,
): Promise<Im2winRegistration> {
  checkOptions(options);
  const held = globals[HELD];
  if (held !== undefined) {
    checkSame(held.options, options);
    return held.registration;
  }
  const mine: Held = {
    options: {...options, backends: options.backends && [...options.backends]},
    registration: register(source, options, () => letGo(mine)),
  };
  globals[HELD] = mine;
  mine.registration.catch(() => letGo(mine));
  return mine.registration;
}

function letGo(held: Held): void {
  if (globals[HELD] === held) delete globals[HELD];
}

const PACKAGES: Record<Im2winBackend, string> = {
  wasm: '@tensorflow/tfjs-backend-wasm',
  cpu: '@tensorflow/tfjs-backend-cpu',
};

async function register(
  source: KernelSource,
  options: Im2winOptions,
  onUnregister: () => void,
): Promise<Im2winRegistration> {
  const {simd: wanted = 'auto', algorithm = 'auto', winograd = true, maxPackedFilterBytes} = options;
  const wishes = {algorithm, winograd, maxPackedFilterBytes};
  const missing = (options.backends ?? []).filter((name) => !kernelsRegistered(name));
  const names = BACKENDS.filter(
    (name) => (options.backends ?? BACKENDS).includes(name) && kernelsRegistered(name),
  );
  if (missing.length > 0 || names.length === 0) {
    const wantedNames = missing.length > 0 ? missing : [...BACKENDS];
    throw new Error(
      `registerIm2win: tfjs has no convolution kernels for backend '${wantedNames.join("' or '")}'. ` +
        `Import '${wantedNames.map((name) => PACKAGES[name]).join("' or '")}' before you call registerIm2win().`,
    );
  }
  if (wanted !== 'auto' && !supports(wanted)) {
    throw new Error(
      `registerIm2win: simd is '${wanted}', but this engine does not have it; allowed here: ${flavours()}.`,
    );
  }
  const modules = names.includes('wasm') ? await openKernels(source, wanted, mayBeShared()) : undefined;
  const wasm = modules && new WasmConvolution(modules);
  const backends = [
    ...(wasm ? [new RoutedBackend('wasm', wasm, wishes)] : []),
    ...(names.includes('cpu') ? [new RoutedBackend('cpu', new CpuConvolution(), wishes)] : []),
  ];
  registerGradient(im2winGradient);
  let registered = true;
  return {
    backends: backends.map(({name}) => name),
    simd: modules?.flavour ?? 'none',
    setAlgorithm(next) {
      checkOption('setAlgorithm: algorithm', next, ALGORITHMS);
      checkWinograd('setAlgorithm', next, winograd);
      for (const backend of backends) backend.wishes = {...wishes, algorithm: next};
    },
    report: () => backends.flatMap((backend) => backend.routes.report()),
    memory() {
      const memory = {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
      for (const {workspace, filters, heap} of wasm?.liveStates() ?? []) {
        memory.workspaceBytes += workspace.bytes;
        memory.filterBytes += filters.bytes;
        memory.ownBytes += heap.ownBytes;
      }
      return memory;
    },
    unregister() {
      if (!registered) return;
      registered = false;
      for (const backend of backends) backend.unregister();
      unregisterGradient(im2winGradient.kernelName);
      onUnregister();
    },
  };
}

/** tfjs's threaded build, on a shared memory, does not run in Node. */
function mayBeShared(): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && globalThis.process?.versions?.node === undefined;
}

function flavours(): string {
  const best = bestFlavour();
  if (best === 'none') return "'auto', which leaves every convolution to tfjs";
  return best === 'strict' ? "'auto', 'strict'" : "'auto', 'strict', 'relaxed'";
}

function checkOptions(options: Im2winOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Error(`registerIm2win: options is ${describe(options)}; allowed: an object.`);
  }
  for (const name of Object.keys(options)) checkOption('registerIm2win: an option', name, OPTIONS);
  const {backends, simd, algorithm, winograd, maxPackedFilterBytes} = options;
  if (backends !== undefined) {
    if (!Array.isArray(backends) || backends.length === 0) {
      throw new Error(
        `registerIm2win: backends is ${describe(backends)}; allowed: a list of ${names(BACKENDS)}.`,
      );
    }
    for (const backend of backends) checkOption('registerIm2win: backends', backend, BACKENDS);
  }
  if (simd !== undefined) checkOption('registerIm2win: simd', simd, SIMD);
  if (algorithm !== undefined) checkOption('registerIm2win: algorithm', algorithm, ALGORITHMS);
  if (winograd !== undefined) checkOption('registerIm2win: winograd', winograd, [true, false]);
  checkWinograd('registerIm2win', algorithm, winograd);
  if (
    maxPackedFilterBytes !== undefined &&
    !(typeof maxPackedFilterBytes === 'number' && maxPackedFilterBytes >= 0)
  ) {
    throw new Error(
      `registerIm2win: maxPackedFilterBytes is ${describe(maxPackedFilterBytes)}; allowed: a number of at least 0.`,
    );
  }
}

function checkWinograd(
  caller: string,
  algorithm: Algorithm | undefined,
  winograd: boolean | undefined,
): void {
  if (algorithm === 'winograd' && winograd === false) {
    throw new Error(`${caller}: algorithm is 'winograd', but winograd is false; allowed with it: true.`);
  }
}

function checkOption(name: string, value: unknown, allowed: readonly unknown[]): void {
  if (!allowed.includes(value)) {
    throw new Error(`${name} is ${describe(value)}; allowed: ${names(allowed)}.`);
  }
}

function names(values: readonly unknown[]): string {
  return values.map(describe).join(', ');
}

/** A second caller may leave options out, but not ask for others. */
function checkSame(held: Im2winOptions, asked: Im2winOptions): void {
  const defaults = {
    backends: BACKENDS,
    simd: 'auto',
    algorithm: 'auto',
    winograd: true,
    maxPackedFilterBytes: undefined,
  };
  for (const name of OPTIONS) {
    const before = describe(inOrder(held[name] ?? defaults[name]));
    const now = describe(inOrder(asked[name]));
    if (asked[name] !== undefined && now !== before) {
      throw new Error(
        `registerIm2win: ${name} is ${now}, but im2win is registered with ${before}; ` +
          'call unregister() on that registration first, or leave the option out.',
      );
    }
  }
}

/** A list of backends without its order and repetitions. */
function inOrder(option: unknown): unknown {
  return Array.isArray(option) ? [...new Set(option)].sort() : option;
}
