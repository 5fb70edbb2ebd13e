// The gradient with respect to the input, and the transposed convolution.
import type {ConvGeometry} from '../geometry.ts';
import type {PhaseGroup, TransposedPlan, WinogradPlan} from '../plan.ts';
import {layoutStrides} from './gather.ts';
import {packWinograd, runWinograd, winogradValues} from './winograd.ts';

/** Windows and output channels of a tile. */
const MR = 3;
const NR = 4;

/**
 * Computes a transposed convolution: a convolution of dy for each phase of the strides.
 *
 * @returns The gradient, in the geometry's data format.
 */
export function runTransposed(
  {geometry, phases}: TransposedPlan,
  dy: ArrayLike<number>,
  filter: ArrayLike<number>,
): Float32Array {
  const {batchSize, inHeight, inWidth, inChannels} = geometry;
  const gradient = new Float32Array(batchSize * inHeight * inWidth * inChannels);
  if (gradient.length === 0 || geometry.outShape.includes(0)) return gradient;
  const tensors = {dy, filter, gradient};
  for (const group of phases) {
    for (let phase = 0; phase < group.row.count; ++phase) {
      const {plan} = group;
      if (plan.algorithm === 'winograd') runByWinograd(geometry, group, plan, phase, tensors);
      else runDirectly(geometry, group, phase, tensors);
    }
  }
  return gradient;
}

interface Tensors {
  readonly dy: ArrayLike<number>;
  readonly filter: ArrayLike<number>;
  readonly gradient: Float32Array;
}

/** Where the values lie that a tile multiplies and sums; strides are in values. */
interface Product {
  readonly dy: ArrayLike<number>;
  readonly dyRow: number;
  readonly dyPixel: number;
  readonly dyChannel: number;
  readonly filter: ArrayLike<number>;
  /** From a tap to the one above it, and to the one left of it, that the phase sees as well. */
  readonly filterRow: number;
  readonly filterPixel: number;
  readonly depth: number;
  /** [MR][NR]. */
  readonly sums: Float64Array;
}

/**
 * Computes one phase from dy and the filter where they lie. Few windows see a tap, so that packing it would take as
 * long as the products themselves. Sums are in double precision.
 */
function runDirectly(
  geometry: ConvGeometry,
  {geometry: own, row, column}: PhaseGroup,
  phase: number,
  {dy, filter, gradient}: Tensors,
): void {
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterWidth} = geometry;
  const dyStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const strides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const tapFloats = inChannels * outChannels;
  const sums = new Float64Array(MR * NR);
  const product: Product = {
    dy,
    dyRow: dyStrides.row,
    dyPixel: dyStrides.pixel,
    dyChannel: dyStrides.channel,
    filter,
    filterRow: -geometry.strideHeight * filterWidth * tapFloats,
    filterPixel: -geometry.strideWidth * tapFloats,
    depth: outChannels,
    sums,
  };
  const lastTap =
    (row.firstTap + phase + (own.filterHeight - 1) * geometry.strideHeight) * filterWidth +
    column.firstTap +
    (own.filterWidth - 1) * geometry.strideWidth;
  for (let image = 0; image < own.batchSize; ++image) {
    for (let r = 0; r < own.outHeight; ++r) {
      const h = r - own.padTop;
      const top = Math.max(0, -h);
      const rows = Math.min(own.filterHeight, outHeight - h) - top;
      const dyAt = image * dyStrides.batch + (h + top) * dyStrides.row;
      const filterAt = lastTap * tapFloats + top * product.filterRow;
      const to =
        image * strides.batch +
        (row.first + phase + r * geometry.strideHeight) * strides.row +
        column.first * strides.pixel;
      for (let n = 0; n < own.outChannels; n += NR) {
        const width = Math.min(NR, own.outChannels - n);
        for (let j = 0; j < own.outWidth; ) {
          const w = j - own.padLeft;
          const inside = w >= 0 && w + MR - 1 + own.filterWidth <= outWidth && j + MR <= own.outWidth;
          const count = inside ? MR : 1;
          const left = Math.max(0, -w);
          const columns = Math.min(own.filterWidth, outWidth - w) - left;
          const a = dyAt + (w + left) * dyStrides.pixel;
          const b = filterAt + left * product.filterPixel + n * outChannels;
          if (inside) tileOf3(product, rows, columns, a, b, width);
          else tileOf1(product, rows, columns, a, b, width);
          for (let m = 0; m < count; ++m) {
            const pixel = to + (j + m) * geometry.strideWidth * strides.pixel;
            for (let i = 0; i < width; ++i) {
              const offset =
                strides.channel === 1
                  ? n + i
                  : Math.floor((n + i) / inChannels) + ((n + i) % inChannels) * strides.channel;
              gradient[pixel + offset] = sums[m * NR + i];
            }
          }
          j += count;
        }
      }
    }
  }
}

/**
 * Multiplies three windows side by side, which begin at `a` of dy, by `width` channels, whose taps begin at `b0` of the
 * filter. In the place of channels that are not there the first is computed again.
 */
function tileOf3(
  {dy, dyRow, dyPixel, dyChannel, filter, filterRow, filterPixel, depth, sums}: Product,
  rows: number,
  columns: number,
  a: number,
  b0: number,
  width: number,
): void {
  const b1 = width > 1 ? b0 + depth : b0;
  const b2 = width > 2 ? b0 + 2 * depth : b0;
  const b3 = width > 3 ? b0 + 3 * depth : b0;
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  for (let kh = 0; kh < rows; ++kh) {
    for (let kw = 0; kw < columns; ++kw) {
      let at = a + kh * dyRow + kw * dyPixel;
      const tap = kh * filterRow + kw * filterPixel;
      for (let k = tap; k < tap + depth; ++k, at += dyChannel) {
        const f0 = filter[b0 + k];
        const f1 = filter[b1 + k];
        const f2 = filter[b2 + k];
        const f3 = filter[b3 + k];
        const x0 = dy[at];
        s00 += x0 * f0;
        s01 += x0 * f1;
        s02 += x0 * f2;
        s03 += x0 * f3;
        const x1 = dy[at + dyPixel];
        s10 += x1 * f0;
        s11 += x1 * f1;
        s12 += x1 * f2;
        s13 += x1 * f3;
        const x2 = dy[at + 2 * dyPixel];
        s20 += x2 * f0;
        s21 += x2 * f1;
        s22 += x2 * f2;
        s23 += x2 * f3;
      }
    }
  }
  sums[0] = s00;
  sums[1] = s01;
  sums[2] = s02;
  sums[3] = s03;
  sums[4] = s10;
  sums[5] = s11;
  sums[6] = s12;
  sums[7] = s13;
  sums[8] = s20;
  sums[9] = s21;
  sums[10] = s22;
  sums[11] = s23;
}

/** The same for one window, of which `rows` × `columns` taps are inside. */
function tileOf1(
  {dy, dyRow, dyPixel, dyChannel, filter, filterRow, filterPixel, depth, sums}: Product,
  rows: number,
  columns: number,
  a: number,
  b0: number,
  width: number,
): void {
  const b1 = width > 1 ? b0 + depth : b0;
  const b2 = width > 2 ? b0 + 2 * depth : b0;
  const b3 = width > 3 ? b0 + 3 * depth : b0;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let kh = 0; kh < rows; ++kh) {
    for (let kw = 0; kw < columns; ++kw) {
      let at = a + kh * dyRow + kw * dyPixel;
      const tap = kh * filterRow + kw * filterPixel;
      for (let k = tap; k < tap + depth; ++k, at += dyChannel) {
        const x = dy[at];
        s0 += x * filter[b0 + k];
        s1 += x * filter[b1 + k];
        s2 += x * filter[b2 + k];
        s3 += x * filter[b3 + k];
      }
    }
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

/** Computes one phase as a convolution by Winograd, and copies its outputs to their places. */
function runByWinograd(
  geometry: ConvGeometry,
  group: PhaseGroup,
  plan: WinogradPlan,
  phase: number,
  {dy, filter, gradient}: Tensors,
): void {
  const {geometry: own, row, column} = group;
  const {inHeight, inWidth, inChannels} = geometry;
  const part = runWinograd(own, plan, {
    activation: 'linear',
    leakyreluAlpha: 0,
    x: dy,
    panels: packWinograd(flippedTaps(geometry, group, phase, filter), own, plan),
    workspace: new Float64Array(winogradValues(plan)),
  });
  const strides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const from = layoutStrides(own, own.outHeight, own.outWidth, own.outChannels);
  for (let image = 0; image < own.batchSize; ++image) {
    for (let r = 0; r < own.outHeight; ++r) {
      for (let j = 0; j < own.outWidth; ++j) {
        const at = image * from.batch + r * from.row + j * from.pixel;
        const to =
          image * strides.batch +
          (row.first + phase + r * geometry.strideHeight) * strides.row +
          (column.first + j * geometry.strideWidth) * strides.pixel;
        for (let i = 0; i < column.count; ++i) {
          for (let ci = 0; ci < inChannels; ++ci) {
            gradient[to + i * strides.pixel + ci * strides.channel] =
              part[at + (i * inChannels + ci) * from.channel];
          }
        }
      }
    }
  }
}

/** The taps of one of a group's phases: the last one comes first, and input and output channels are exchanged. */
function flippedTaps(
  {filterWidth, inChannels, outChannels, strideHeight, strideWidth}: ConvGeometry,
  {geometry: own, row, column}: PhaseGroup,
  phase: number,
  filter: ArrayLike<number>,
): Float32Array {
  const taps = new Float32Array(own.filterHeight * own.filterWidth * outChannels * own.outChannels);
  let to = 0;
  for (let kh = own.filterHeight - 1; kh >= 0; --kh) {
    for (let kw = own.filterWidth - 1; kw >= 0; --kw) {
      const tapRow = row.firstTap + phase + kh * strideHeight;
      const tap = tapRow * filterWidth + column.firstTap + kw * strideWidth;
      const from = tap * inChannels * outChannels;
      for (let n = 0; n < outChannels; ++n) {
        // The taps of all phases of a run lie side by side, and are taken as channels.
        for (let i = 0; i < own.outChannels; ++i) taps[to++] = filter[from + i * outChannels + n];
      }
    }
  }
  return taps;
}
