// What a convolution is: plain loops in double precision, written from the
// definition. Expected values come from here and nowhere else.

// In jest a global is looked up each time it is used, which takes longer than a product.
const {abs, exp, expm1, max, min, PI, sqrt, tanh} = Math;

export interface Problem {
  /** [batch, height, width, inChannels] */
  readonly xShape: readonly [number, number, number, number];
  /** [height, width, inChannels, outChannels] */
  readonly filterShape: readonly [number, number, number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Top and left; what lies outside the image counts as zero. */
  readonly padding: readonly [number, number];
  readonly outHeight: number;
  readonly outWidth: number;
}

export interface Sums {
  /** [batch, outHeight, outWidth, outChannels] */
  readonly sums: Float64Array;
  /** The sums of the products' absolute values: what a rounding error is relative to. */
  readonly magnitudes: Float64Array;
}

export function convolve(problem: Problem, x: ArrayLike<number>, filter: ArrayLike<number>): Sums {
  const [batch, inHeight, inWidth, inChannels] = problem.xShape;
  const [filterHeight, filterWidth, , outChannels] = problem.filterShape;
  const {outHeight, outWidth, strides, dilations, padding} = problem;
  const sums = new Float64Array(batch * outHeight * outWidth * outChannels);
  const magnitudes = new Float64Array(sums.length);
  let at = 0;
  for (let b = 0; b < batch; ++b) {
    for (let oh = 0; oh < outHeight; ++oh) {
      for (let ow = 0; ow < outWidth; ++ow) {
        for (let co = 0; co < outChannels; ++co, ++at) {
          for (let kh = 0; kh < filterHeight; ++kh) {
            const ih = oh * strides[0] - padding[0] + kh * dilations[0];
            if (ih < 0 || ih >= inHeight) continue;
            for (let kw = 0; kw < filterWidth; ++kw) {
              const iw = ow * strides[1] - padding[1] + kw * dilations[1];
              if (iw < 0 || iw >= inWidth) continue;
              const pixel = ((b * inHeight + ih) * inWidth + iw) * inChannels;
              const tap = (kh * filterWidth + kw) * inChannels * outChannels;
              for (let ci = 0; ci < inChannels; ++ci) {
                const product = x[pixel + ci] * filter[tap + ci * outChannels + co];
                sums[at] += product;
                magnitudes[at] += abs(product);
              }
            }
          }
        }
      }
    }
  }
  return {sums, magnitudes};
}

/** The gradients of a convolution, for a dy of the output's shape. */
export interface Gradients {
  readonly x: Float64Array;
  readonly filter: Float64Array;
  /** Sums of absolute products, and the most products in a sum. */
  readonly xMagnitudes: Float64Array;
  readonly filterMagnitudes: Float64Array;
}

/** @param multiplier Of a depthwise convolution, whose filter is [height, width, inChannels, multiplier]. */
export function gradients(
  problem: Problem,
  x: Float32Array,
  filter: Float32Array,
  dy: Float32Array,
  multiplier?: number,
): Gradients {
  const [batch, inHeight, inWidth, inChannels] = problem.xShape;
  const [filterHeight, filterWidth, , last] = problem.filterShape;
  const outChannels = multiplier === undefined ? last : inChannels * multiplier;
  const {outHeight, outWidth, strides, dilations, padding} = problem;
  const result = {
    x: new Float64Array(x.length),
    filter: new Float64Array(filter.length),
    xMagnitudes: new Float64Array(x.length),
    filterMagnitudes: new Float64Array(filter.length),
  };
  for (let b = 0; b < batch; ++b) {
    for (let oh = 0; oh < outHeight; ++oh) {
      for (let ow = 0; ow < outWidth; ++ow) {
        for (let kh = 0; kh < filterHeight; ++kh) {
          const ih = oh * strides[0] - padding[0] + kh * dilations[0];
          if (ih < 0 || ih >= inHeight) continue;
          for (let kw = 0; kw < filterWidth; ++kw) {
            const iw = ow * strides[1] - padding[1] + kw * dilations[1];
            if (iw < 0 || iw >= inWidth) continue;
            for (let ci = 0; ci < inChannels; ++ci) {
              const xAt = ((b * inHeight + ih) * inWidth + iw) * inChannels + ci;
              const [from, to] =
                multiplier === undefined ? [0, outChannels] : [ci * multiplier, (ci + 1) * multiplier];
              for (let co = from; co < to; ++co) {
                const filterAt =
                  multiplier === undefined
                    ? ((kh * filterWidth + kw) * inChannels + ci) * outChannels + co
                    : (kh * filterWidth + kw) * outChannels + co;
                const g = dy[((b * outHeight + oh) * outWidth + ow) * outChannels + co];
                result.x[xAt] += g * filter[filterAt];
                result.xMagnitudes[xAt] += abs(g * filter[filterAt]);
                result.filter[filterAt] += g * x[xAt];
                result.filterMagnitudes[filterAt] += abs(g * x[xAt]);
              }
            }
          }
        }
      }
    }
  }
  return result;
}

/** Numbers of an activation; those that are missing are as in src/activation.ts. */
export interface ActivationNumbers {
  readonly hardsigmoidAlpha?: number;
  readonly hardsigmoidBeta?: number;
  readonly clipMin?: number;
  readonly clipMax?: number;
}

/**
 * An activation, the largest factor by which it can widen an error, and where it is more than a few roundings of the
 * value, the error that it makes itself.
 */
export function activate(
  name: string,
  v: number,
  slope: number,
  {hardsigmoidAlpha = 0.2, hardsigmoidBeta = 0.5, clipMin, clipMax}: ActivationNumbers = {},
): {readonly value: number; readonly widening: number; readonly own?: number} {
  switch (name) {
    case 'linear':
      return {value: v, widening: 1};
    case 'relu':
      return {value: max(0, v), widening: 1};
    case 'relu6':
      return {value: min(6, max(0, v)), widening: 1};
    case 'prelu':
    case 'leakyrelu':
      return {value: v < 0 ? v * slope : v, widening: max(1, abs(slope))};
    case 'sigmoid':
      return {value: 1 / (1 + exp(-v)), widening: 1 / 4};
    case 'elu':
      return {value: v < 0 ? expm1(v) : v, widening: 1};
    case 'tanh':
      return {value: tanh(v), widening: 1};
    case 'silu':
      // Of x below -87 the sigmoid is 0, and else less than the smallest normal float.
      return {value: v / (1 + exp(-v)), widening: 1.1, own: v < -87 ? 104 * 2 ** -126 : 0};
    case 'gelu':
      return {value: v * normalDistribution(v), widening: 1.13, own: 2e-7};
    case 'gelu_new':
      return {
        value: (v / 2) * (1 + tanh(sqrt(2 / PI) * (v + 0.044715 * v ** 3))),
        widening: 1.13,
        own: 2e-7,
      };
    case 'hardsigmoid':
      return {
        value: line(v, hardsigmoidAlpha, hardsigmoidBeta),
        widening: abs(hardsigmoidAlpha),
        own: lineError(v, hardsigmoidAlpha, hardsigmoidBeta),
      };
    case 'hardswish':
      return {value: v * line(v, 1 / 6, 0.5), widening: 1.5, own: abs(v) * lineError(v, 1 / 6, 0.5)};
    case 'clip':
      return {
        value: max(clipMin ?? Number.NEGATIVE_INFINITY, min(clipMax ?? Number.POSITIVE_INFINITY, v)),
        widening: 1,
      };
    default:
      throw new Error(`No activation ${name}.`);
  }
}

/** Of numbers below v, by a series that alternates nowhere (Marsaglia, 2004). */
function normalDistribution(v: number): number {
  if (abs(v) > 12) return v < 0 ? 0 : 1;
  let sum = v;
  let term = v;
  for (let i = 3; abs(term) > 1e-18 * abs(sum); i += 2) {
    term *= (v * v) / i;
    sum += term;
  }
  return 0.5 + (sum * exp(-v * v * 0.5)) / sqrt(2 * PI);
}

function line(v: number, alpha: number, beta: number): number {
  return min(1, max(0, alpha * v + beta));
}

/** Roundings of slope and constant, of their product and of the sum, which may all but cancel. None where it is flat. */
function lineError(v: number, alpha: number, beta: number): number {
  const sum = alpha * v + beta;
  const error = 4 * UNIT_ROUNDOFF * (abs(alpha * v) + abs(beta));
  return sum < -error || sum > 1 + error ? 0 : error;
}

/** Half the distance from 1 to the next float: the largest relative rounding error. */
export const UNIT_ROUNDOFF = 2 ** -24;

/**
 * The largest error of a sum of `terms` float products in any order (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1):
 * gamma(terms) times the sum of the absolute values.
 */
export function sumError(terms: number, magnitude: number): number {
  const nu = terms * UNIT_ROUNDOFF;
  return (nu / (1 - nu)) * magnitude;
}

/** The finite points of Winograd's transforms, for each number of points. */
const FINITE_POINTS: Readonly<Record<number, readonly number[]>> = {
  4: [0, 1, -1],
  6: [0, 0.75, -0.75, 1.5, -1.5],
  8: [0, 1, -1, 2, -2, 0.5, -0.5],
};

/**
 * By how much Winograd's transforms can widen a rounding error, relative to
 * max |x| · sum |filter|, over all that are offered for a filter of so many taps
 * along the height and the width (of one phase of the stride): along the width
 * alone, or along both with at most 24 outputs.
 */
export function winogradGrowth(rowTaps: number, taps: number): number {
  let growth = 1;
  for (const points of [4, 6, 8]) {
    const outputs = points - taps + 1;
    if (outputs < 2) continue;
    growth = max(growth, axisGrowth(points, taps));
    for (const rowPoints of [4, 6, 8]) {
      const rowOutputs = rowPoints - rowTaps + 1;
      if (rowTaps < 2 || rowOutputs < 2 || rowOutputs * outputs > 24) continue;
      growth = max(growth, axisGrowth(rowPoints, rowTaps) * axisGrowth(points, taps));
    }
  }
  return growth;
}

const largestGrowth = new Map<string, number>();

/**
 * The same, where a filter may lose taps that see nothing but padding: the most over all numbers of taps up
 * to these. 0 where Winograd takes no such filter.
 */
export function mostWinogradGrowth(rowTaps: number, taps: number): number {
  const most = [min(rowTaps, 7), min(taps, 7)];
  const key = most.join();
  const known = largestGrowth.get(key);
  if (known !== undefined) return known;
  let growth = 0;
  for (let rows = 1; rows <= most[0]; ++rows) {
    for (let columns = 2; columns <= most[1]; ++columns) {
      growth = max(growth, winogradGrowth(rows, columns));
    }
  }
  largestGrowth.set(key, growth);
  return growth;
}

/** The largest row sum of |A| (|G| max)(|B| sums). */
function axisGrowth(points: number, taps: number): number {
  const finite = FINITE_POINTS[points];
  const outputs = points - taps + 1;
  let growth = 1;
  for (let j = 0; j < outputs; ++j) {
    let sum = j === outputs - 1 ? absoluteSum(polynomial(finite)) : 0;
    for (const p of finite) {
      const others = finite.filter((q) => q !== p);
      const scale = others.reduce((product, q) => product * (p - q), 1);
      const largestTap = max(1, abs(p) ** (taps - 1)) / abs(scale);
      sum += abs(p) ** j * largestTap * absoluteSum(polynomial(others));
    }
    growth = max(growth, sum);
  }
  return growth;
}

/** The coefficients of the product of (x - root). */
function polynomial(roots: readonly number[]): number[] {
  let coefficients = [1];
  for (const root of roots) {
    coefficients = [0, ...coefficients].map((shifted, i) => shifted - root * (coefficients[i] ?? 0));
  }
  return coefficients;
}

function absoluteSum(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + abs(value), 0);
}
