// The machine's peaks, measured in the same run as everything else.

import {performance} from 'node:perf_hooks';
import type {Flavour} from '../src/plan.ts';
import {withSharedMemory} from '../src/wasm/binary.ts';
import {isShared} from '../src/wasm/heap.ts';
import {unpackKernels} from '../src/wasm/packed.ts';
import {KERNELS} from './peak.generated.ts';
import {medianInterval} from './statistics.ts';

export interface Peaks {
  /** GFLOP/s of plain SIMD multiplications and additions, on one thread. */
  readonly mulAdd: number;
  /** The same fused; missing on an engine without relaxed SIMD. */
  readonly fma?: number;
}

const STEPS = 250_000;
const FLOPS_PER_STEP = 4 * 12 * 4 * 2;

export function measurePeaks(): Peaks {
  const strict = loadPeak('strict');
  const relaxed = loadPeak('relaxed');
  const rates: {strict: number[]; relaxed: number[]} = {strict: [], relaxed: []};
  for (let repetition = 0; repetition < 15; ++repetition) {
    if (strict) rates.strict.push(rate(strict));
    if (relaxed) rates.relaxed.push(rate(relaxed));
  }
  return {
    mulAdd: strict ? medianInterval(rates.strict).median : Number.NaN,
    fma: relaxed ? medianInterval(rates.relaxed).median : undefined,
  };
}

type Peak = (steps: number, values: number) => number;

function loadPeak(flavour: Flavour): Peak | undefined {
  const peak = loadBenchKernels(flavour, new WebAssembly.Memory({initial: 2}))?.peak as Peak | undefined;
  // A function is compiled anew after some calls, not while it runs.
  for (let call = 0; call < 200; ++call) peak?.(1000, 0);
  return peak;
}

/** The exports of bench/kernels; undefined if the engine does not have the flavour. */
export function loadBenchKernels(
  flavour: Flavour,
  memory: WebAssembly.Memory,
): WebAssembly.Exports | undefined {
  const bytes = unpackKernels(KERNELS, flavour);
  if (!WebAssembly.validate(bytes)) return undefined;
  const code = isShared(memory.buffer) ? withSharedMemory(bytes) : bytes;
  return new WebAssembly.Instance(new WebAssembly.Module(code), {env: {memory}}).exports;
}

function rate(peak: Peak): number {
  const start = performance.now();
  peak(STEPS, 0);
  return (STEPS * FLOPS_PER_STEP) / (performance.now() - start) / 1e6;
}
