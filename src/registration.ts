import {findBackendFactory, getBackend, registerGradient, unregisterGradient} from '@tensorflow/tfjs-core';
import type {AroundRecord} from './around.ts';
import type {BackendThreads, Im2winBackend, Im2winMemory} from './backend.ts';
import {BACKENDS} from './backends.ts';
import type {ConvolutionRecord} from './convolution.ts';
import {namingOp} from './describe.ts';
import {OWN_GRADIENTS} from './gradient.ts';
import type {MatMulRecord} from './matMul.ts';
import {checkAlgorithm, checkReportOptions, checkThreads, DEFAULTS, type Im2winOptions} from './options.ts';
import type {Algorithm, Flavour, PlanWishes} from './plan.ts';
import {STOCK_WAS_ASKED} from './policy.ts';
import type {KernelRecord} from './routes.ts';
import {isImported, type ServedBackend} from './served.ts';

/**
 * A record of `report({all: true})`. Its `kernelName` tells which it is, and so do its fields: `'xShape' in record` is
 * true of convolutions, `'transposeA' in record` of matrix products, `'inputShapes' in record` of these and of the other kernels around
 * convolutions. Any other has at least the fields of
 * {@link KernelRecord}.
 */
export type Im2winRecord = ConvolutionRecord | MatMulRecord | AroundRecord | KernelRecord;

/** What {@link registerIm2win} returns: one for all copies of this package. */
export interface Im2winRegistration {
  /**
   * The backends that are served; `'wasm'` is not on an engine without SIMD. A later call of
   * {@link registerIm2win} adds those that were imported since. After `unregister()` those that were.
   */
  readonly backends: readonly Im2winBackend[];
  /**
   * The flavour in use; `'none'` where wasm is not served, as on an engine without SIMD:
   * nothing is routed there then. After `unregister()` the one that was.
   */
  readonly simd: Flavour | 'none';
  /** The threads that compute on wasm from the next call on, the calling one among them. */
  readonly numThreads: number;
  /**
   * Why one thread computes where more could, and what to do; `undefined` where several do, and where one was asked
   * for. The words may change in any version.
   */
  readonly whyOneThread: string | undefined;
  /**
   * Changes the number of threads from the next call on, up to what im2win was registered with. Results stay the same
   * to the bit.
   *
   * @throws Error if it is not a whole number from 1 to that.
   */
  setNumThreads(numThreads: number): void;
  /**
   * Changes the algorithm from the next call on. Packed filters stay, so that
   * two algorithms can be compared in turn. `Im2winConv2D` and `Im2winDepthwiseConv2D` are
   * never stock's: with `'stock'` time a model before `optimizeModel`, or after `revert()`.
   *
   * @throws Error if it is not one of the four names.
   */
  setAlgorithm(algorithm: Algorithm): void;
  /**
   * One record for each distinct convolution seen since registration, at most
   * 1,000 a backend. A convolution that ran by two algorithms has two.
   */
  report(options?: {readonly all?: false}): ConvolutionRecord[];
  /**
   * The same, and with `all` records of every other kernel that is served as well, such as concat or add: at
   * most 1,000 of each kind a backend.
   *
   * @throws Error if an option is none, or `all` is no boolean.
   */
  report(options: {readonly all?: boolean}): Im2winRecord[];
  /**
   * A few lines for a person: which of the imported backends are served, or why not; how many distinct
   * convolutions were routed, and how many are on stock; and before all that what to do, if tfjs runs on
   * a backend that is not served. The words may change in any version.
   */
  status(): string;
  /** What is held at this moment, on all instances of the backends together. */
  memory(): Im2winMemory;
  /**
   * Puts tfjs's own kernels back, where no other library has put its own in our
   * place since, and gives all heap memory back. `report()` keeps its records.
   */
  unregister(): void;
}

/** Where only cpu is served, or nothing. */
const ONE_THREAD: BackendThreads = {count: 1, most: 1, set() {}};

/** What is registered: backends, added one by one, and what they have in common. */
export class Registration {
  /** The first call's, which are in force until the end. */
  readonly options: Im2winOptions;
  /** What its callers have of it. */
  readonly handle: Im2winRegistration;
  wishes: PlanWishes;
  over = false;
  /** Each was made by whichever copy of this package added it. */
  private readonly served = new Map<Im2winBackend, ServedBackend>();
  private readonly reasons = new Map<Im2winBackend, string>();
  private readonly onEnd: () => void;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: Im2winOptions, onEnd: () => void) {
    const {algorithm, winograd, maxPackedFilterBytes} = {...DEFAULTS, ...options};
    this.options = {...options, backends: options.backends && [...options.backends]};
    this.wishes = {algorithm, winograd, maxPackedFilterBytes};
    this.onEnd = onEnd;
    this.handle = this.makeHandle();
  }

  /** Runs calls that add backends one after the other. */
  inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.turn.then(run);
    this.turn = result.catch(() => {});
    return result;
  }

  serves(name: Im2winBackend): boolean {
    return this.served.has(name);
  }

  add(backend: ServedBackend): void {
    if (this.served.size === 0) OWN_GRADIENTS.forEach(registerGradient);
    this.served.set(backend.name, backend);
    this.reasons.delete(backend.name);
  }

  /** Keeps why a backend is not served. */
  leaveOut(name: Im2winBackend, reason: string): void {
    this.reasons.set(name, reason);
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    for (const backend of this.served.values()) backend.unregister();
    if (this.served.size > 0) {
      for (const {kernelName} of OWN_GRADIENTS) unregisterGradient(kernelName);
    }
    this.onEnd();
  }

  private get threads(): BackendThreads {
    return this.backends().find(({threads}) => threads !== undefined)?.threads ?? ONE_THREAD;
  }

  private backends(): ServedBackend[] {
    return BACKENDS.flatMap(({name}) => this.served.get(name) ?? []);
  }

  private makeHandle(): Im2winRegistration {
    const registration = this;
    return {
      get backends() {
        return registration.backends().map(({name}) => name);
      },
      get simd() {
        return registration.backends().find(({flavour}) => flavour !== undefined)?.flavour ?? 'none';
      },
      get numThreads() {
        return registration.over ? 1 : registration.threads.count;
      },
      get whyOneThread() {
        return registration.over ? undefined : registration.threads.reason;
      },
      setNumThreads(numThreads) {
        const {threads} = registration;
        namingOp('setNumThreads', () =>
          checkThreads(numThreads, threads.most, ', the most that this registration has'),
        );
        threads.set(numThreads);
      },
      setAlgorithm(algorithm) {
        namingOp('setAlgorithm', () => checkAlgorithm(algorithm, registration.wishes.winograd));
        registration.wishes = {...registration.wishes, algorithm};
      },
      report: (options: {readonly all?: boolean} = {}) => {
        namingOp('report', () => checkReportOptions(options));
        // Convolutions are the one family that is not secondary.
        return registration
          .backends()
          .flatMap((backend) => backend.report(options.all)) as ConvolutionRecord[];
      },
      status: () => registration.status(),
      memory() {
        const memory = {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
        for (const {workspaceBytes, filterBytes, ownBytes} of registration
          .backends()
          .map((one) => one.memory())) {
          memory.workspaceBytes += workspaceBytes;
          memory.filterBytes += filterBytes;
          memory.ownBytes += ownBytes;
        }
        return memory;
      },
      unregister: () => registration.end(),
    };
  }

  private status(): string {
    if (this.over) return "im2win is unregistered: every convolution is tfjs's own.";
    const records = this.handle.report();
    const onStock = records.filter(({algorithm}) => algorithm === 'stock');
    const asked = onStock.filter(({reason}) => reason === STOCK_WAS_ASKED).length;
    return [
      ...this.adviceOnBackend(),
      ...this.betterNotImported(),
      ...BACKENDS.filter(isImported).map(({name}) => `${name}: ${this.statusOf(name)}.`),
      `Distinct convolutions seen: ${records.length - onStock.length} routed, ${onStock.length} on stock` +
        `${asked > 0 ? ` (${asked} because 'stock' was asked for)` : ''}` +
        `${onStock.length > 0 ? '; report() has the reasons' : ''}.`,
    ].join('\n');
  }

  /** Backends that are better than all that were imported. */
  private betterNotImported(): string[] {
    const first = BACKENDS.findIndex(isImported);
    return BACKENDS.slice(0, Math.max(0, first)).map(
      (one) => `${one.name}: not served: '${one.package}' was not imported; it is the faster one.`,
    );
  }

  private adviceOnBackend(): string[] {
    // null once the last one was removed.
    const current: string | null | undefined = getBackend();
    const names: readonly string[] = this.handle.backends.filter(isThere);
    if (current != null && names.includes(current)) return [];
    const running =
      current == null ? 'tfjs has no backend yet' : `tfjs runs on '${current}', which is not served`;
    // No other backend is advised where a line below says why this one is not served: it may be far slower.
    const isReasonBelow = BACKENDS.some(({name}) => name === current) || names.length === 0;
    return [
      `${running}: nothing is routed${isReasonBelow ? '' : ` until await tf.setBackend('${names.join("') or ('")}')`}.`,
    ];
  }

  private statusOf(name: Im2winBackend): string {
    const backend = this.served.get(name);
    if (backend !== undefined) {
      if (!isThere(name)) return 'served once it is registered again: tf.removeBackend() took it away';
      const {flavour, threads} = backend;
      return ['served', flavour && `${flavour} SIMD`, threads && inWords(threads)]
        .filter((part) => part !== undefined)
        .join(', ');
    }
    const {backends} = this.options;
    const reason =
      backends === undefined || backends.includes(name)
        ? 'it was imported after the last call of registerIm2win(); call it again to add it'
        : 'it is not in the option backends';
    return `not served: ${this.reasons.get(name) ?? reason}`;
  }
}

/** Whether tfjs knows how to start it. */
function isThere(name: Im2winBackend): boolean {
  return findBackendFactory(name) != null;
}

function inWords({count, reason}: BackendThreads): string {
  if (count > 1) return `${count} threads`;
  return reason === undefined ? 'one thread' : `one thread (${reason.replace(/\.$/, '')})`;
}
