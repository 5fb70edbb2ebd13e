// How far outputs are from exact ones, for each plan that a convolution may have:
// the largest error, relative to the largest output.
import * as tf from '@tensorflow/tfjs-core';
import {candidatePlans} from '../src/candidates.ts';
import type {ConvGeometry} from '../src/geometry.ts';
import type {Flavour} from '../src/plan.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {runPlan} from './wasmState.ts';

type Plan = ReturnType<typeof candidatePlans>[number];

/** F(outputs, taps), along height and width where both are transformed. */
export function planName(plan: Plan): string {
  if (plan.algorithm !== 'winograd') return plan.algorithm;
  const {outputs, taps, rowOutputs, rowPoints} = plan;
  return rowPoints === 1
    ? `F(${outputs},${taps})`
    : `F(${rowOutputs}×${outputs},${rowPoints - rowOutputs + 1}×${taps})`;
}

/** Every plan there is on wasm, whatever its packed filter takes. */
export function everyPlan(geometry: ConvGeometry, flavour: Flavour, filtersChange = false) {
  return candidatePlans(geometry, {
    target: flavour,
    algorithm: 'auto',
    winograd: true,
    maxPackedFilterBytes: Number.POSITIVE_INFINITY,
    filtersChange,
  });
}

/** What the data are like: inputs, and filters of zero mean. */
export const DISTRIBUTIONS = {
  /** Both from the standard normal distribution. */
  normal: {input: normal, filter: normal},
  /** Both uniform in [-1, 1). */
  uniform: {input: uniform, filter: uniform},
  /** As inside a network: the positive part of a normal input, a normal filter. */
  relu: {input: (random: Random) => Math.max(0, normal(random)), filter: normal},
} as const;

export type Distribution = keyof typeof DISTRIBUTIONS;
type Random = () => number;

/** Uniform in [0, 1), the same each time: mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function uniform(random: Random): number {
  return 2 * random() - 1;
}

// Box and Muller.
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The largest relative error that an algorithm may have: see docs/design.md, Accuracy. */
export function errorBound(algorithm: Plan['algorithm'], geometry: ConvGeometry): number {
  const root = Math.sqrt(geometry.filterHeight * geometry.filterWidth * geometry.inChannels) * 2 ** -24;
  return algorithm === 'winograd' ? Math.max(1e-5, 4 * root) : Math.max(2e-6, 2 * root);
}

/**
 * Runs each plan on the same data, and compares `samples` outputs (all, if there
 * are no more) with sums in double precision.
 *
 * @returns The largest error of each plan, relative to the largest output.
 */
export function relativeErrors(
  state: WasmState,
  geometry: ConvGeometry,
  plans: readonly Plan[],
  distribution: Distribution,
  seed: number,
  samples: number,
): number[] {
  const {batchSize, inHeight, inWidth, inChannels, filterHeight, filterWidth, outChannels} = geometry;
  const random = seeded(seed);
  const draw = (count: number, from: (random: Random) => number) =>
    Float32Array.from({length: count}, () => from(random));
  const values = {
    x: draw(batchSize * inHeight * inWidth * inChannels, DISTRIBUTIONS[distribution].input),
    filter: draw(filterHeight * filterWidth * inChannels * outChannels, DISTRIBUTIONS[distribution].filter),
  };
  const x = tf.tensor(values.x, [batchSize, inHeight, inWidth, inChannels]);
  const filter = tf.tensor(values.filter, [filterHeight, filterWidth, inChannels, outChannels]);
  const [, outHeight, outWidth] = geometry.outShape;
  const size = batchSize * outHeight * outWidth * outChannels;
  const count = Math.min(samples, size);
  const places = Array.from({length: count}, (_, i) => (count === size ? i : Math.floor(random() * size)));
  const exact = places.map((place) => exactOutput(geometry, values.x, values.filter, place));
  const errors = plans.map((plan) => {
    const info = runPlan(state, {geometry, plan, activation: 'linear'}, {x, filter, alpha: 0});
    const output = tf.engine().makeTensorFromTensorInfo(info);
    const result = output.dataSync<'float32'>();
    output.dispose();
    const largest = result.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return places.reduce((most, place, i) => Math.max(most, Math.abs(result[place] - exact[i])), 0) / largest;
  });
  tf.dispose([x, filter]);
  return errors;
}

function exactOutput(geometry: ConvGeometry, x: Float32Array, filter: Float32Array, place: number): number {
  const {inHeight, inWidth, inChannels, filterHeight, filterWidth, outChannels, outWidth, outHeight} =
    geometry;
  const channel = place % outChannels;
  const pixel = Math.floor(place / outChannels);
  const column = pixel % outWidth;
  const row = Math.floor(pixel / outWidth) % outHeight;
  const image = Math.floor(pixel / (outWidth * outHeight));
  let sum = 0;
  for (let kh = 0; kh < filterHeight; ++kh) {
    const h = row * geometry.strideHeight - geometry.padTop + kh * geometry.dilationHeight;
    if (h < 0 || h >= inHeight) continue;
    for (let kw = 0; kw < filterWidth; ++kw) {
      const w = column * geometry.strideWidth - geometry.padLeft + kw * geometry.dilationWidth;
      if (w < 0 || w >= inWidth) continue;
      const from = ((image * inHeight + h) * inWidth + w) * inChannels;
      const tap = (kh * filterWidth + kw) * inChannels;
      for (let ci = 0; ci < inChannels; ++ci) {
        sum += x[from + ci] * filter[(tap + ci) * outChannels + channel];
      }
    }
  }
  return sum;
}
