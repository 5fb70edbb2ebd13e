// What the pages and their workers tell each other.
import type {ConvolutionRecord} from 'tfjs-im2win';
import type {ModelChange} from 'tfjs-im2win/optimize';
import type {Interval} from '../../../bench/statistics.ts';

export const CONTENDERS = ['stock', 'im2win'] as const;
export type ContenderName = (typeof CONTENDERS)[number];
export type Each<T> = Record<ContenderName, T>;

export type NetworkName = 'superResolution' | 'pose';

/** One kernel that the network ran. */
export interface LayerTime {
  readonly kernelName: string;
  readonly xShape: readonly number[];
  /** Missing where the kernel is no convolution. */
  readonly filterShape?: readonly number[];
  readonly outShape: readonly number[];
  readonly milliseconds: number;
  /** What im2win did with it; missing where im2win was not asked. */
  readonly algorithm?: ConvolutionRecord['algorithm'];
  /** Why it was left to stock. */
  readonly reason?: string;
}

export interface Run {
  readonly milliseconds: number;
  readonly values: Float32Array;
  readonly layers: readonly LayerTime[];
  /** Of tfjs's heap, after the run. */
  readonly heapBytes: number;
  /** What im2win holds of it; 0 for stock. */
  readonly ownBytes: number;
  /** What `optimizeModel` has done so far; missing where it was not asked. */
  readonly optimized?: Optimized;
}

export interface Optimized {
  readonly changes: readonly ModelChange[];
  /** Why the network runs as it was loaded; empty if it does not. */
  readonly reasons: readonly string[];
}

export interface Versions {
  readonly tfjs: string;
  /** The flavour of WebAssembly SIMD that im2win uses; `none` where there is none, or im2win is not there. */
  readonly simd: string;
}

/** What the benchmark ran with. */
export interface BenchmarkVersions extends Versions {
  /** The threads that stock and im2win ran on. */
  readonly threads: Each<number>;
}

/** How many threads im2win runs on: one, or as many as it takes by itself, which is more on an isolated page alone. Stock has one. */
export type Threads = 'one' | 'own';

/** Times in milliseconds; `speedup` is the median of the pairs' ratios, stock's time over im2win's. */
export interface Measured {
  readonly name: string;
  readonly milliseconds: Each<Interval>;
  readonly speedup: Interval;
  /** Largest difference of an output, of the largest output. */
  readonly difference: number;
}

export interface MeasuredLayer extends Measured {
  readonly algorithm: string;
}

/** The networks of the benchmark, and the side of their inputs. */
export const BENCHMARK_INPUTS: Record<NetworkName, {readonly name: string; readonly side: number}> = {
  superResolution: {name: 'ESRGAN slim 2×, 128 × 128', side: 128},
  pose: {name: 'MoveNet Lightning, 192 × 192', side: 192},
};
