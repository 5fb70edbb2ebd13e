// Winograd's minimal filtering along the width, in doubles. Points and transforms
// are those of kernels/winograd.h.
import {type ConvGeometry, inputRowsUnder} from '../geometry.ts';
import type {WinogradPlan} from '../plan.ts';
import {filterPlace} from '../taps.ts';
import {type CpuConv, clamp, makeEpilogue} from './epilogue.ts';
import {gatherStrip, layoutStrides} from './gather.ts';
import {MR, NR, tile} from './tile.ts';

/** The positive points that come in pairs with their negatives. */
const PAIRS: Record<WinogradPlan['points'], readonly number[]> = {
  4: [1],
  6: [0.75, 1.5],
  8: [1, 2, 0.5],
};

/** The filter's scale at a point: 1 / prod(p - q) over the other finite points q. It is the same at p and -p. */
function filterScale(points: WinogradPlan['points'], p: number): number {
  return PAIRS[points].reduce(
    (scale, q) => (q === p ? scale : scale / (p * p - q * q)),
    p === 0 ? 1 : 1 / (2 * p * p),
  );
}

/** Values that the workspace needs: gathered columns, transformed rows, and one panel's products. */
export function winogradValues(plan: WinogradPlan): number {
  return (plan.columnBytes + plan.inputRows * plan.inputRowBytes + plan.productBytes) / 8;
}

/** Transforms a tfjs filter to panels: [panel][point][filterHeight][strideWidth][inChannels][NR]. */
export function packWinograd(
  filter: ArrayLike<number>,
  geometry: ConvGeometry,
  plan: WinogradPlan,
): Float64Array {
  const {filterHeight, filterWidth, inChannels, outChannels, strideWidth} = geometry;
  const {points, taps} = plan;
  const {offset, rowTaps} = filterPlace(geometry);
  const pairs = PAIRS[points];
  const depth = filterHeight * strideWidth * inChannels;
  const pointStride = depth * NR;
  const panels = new Float64Array(plan.panelBytes / 8);
  const scaleAtZero = filterScale(points, 0);
  for (let channel = 0; channel < outChannels; ++channel) {
    const panel = Math.floor(channel / NR) * points * pointStride + (channel % NR);
    for (let k = 0; k < depth; ++k) {
      const ci = k % inChannels;
      const phase = Math.floor(k / inChannels) % strideWidth;
      const kh = Math.floor(k / (inChannels * strideWidth));
      // A phase may have a tap less than others, which is zero.
      const tap = (q: number) => {
        const kw = q * strideWidth + phase;
        return kw < filterWidth
          ? filter[offset + ((kh * rowTaps + kw) * inChannels + ci) * outChannels + channel]
          : 0;
      };
      let to = panel + k * NR;
      panels[to] = tap(0) * scaleAtZero;
      for (const p of pairs) {
        let even = 0;
        let odd = 0;
        for (let q = 0; q < taps; ++q) {
          if (q % 2 === 0) even += tap(q) * p ** q;
          else odd += tap(q) * p ** q;
        }
        const scale = filterScale(points, p);
        panels[to + pointStride] = (even + odd) * scale;
        panels[to + 2 * pointStride] = (even - odd) * scale;
        to += 2 * pointStride;
      }
      panels[to + pointStride] = tap(taps - 1);
    }
  }
  return panels;
}

/**
 * Transforms one tile of a gathered row to its points, `pointStride` values apart. The two points of a pair share
 * the sums of even and of odd powers.
 */
const TRANSFORM_ROW: Record<WinogradPlan['points'], TransformRow> = {
  4(v, to, pointStride, from, step, count) {
    for (let c = 0; c < count; ++c, ++to, ++from) {
      const d1 = v[from + step];
      const d2 = v[from + 2 * step];
      v[to] = d2 - v[from];
      v[to + pointStride] = d2 + d1;
      v[to + 2 * pointStride] = d2 - d1;
      v[to + 3 * pointStride] = v[from + 3 * step] - d1;
    }
  },
  6(v, to, pointStride, from, step, count) {
    for (let c = 0; c < count; ++c, ++to, ++from) {
      const d1 = v[from + step];
      const d2 = v[from + 2 * step];
      const d3 = v[from + 3 * step];
      const d4 = v[from + 4 * step];
      v[to] = 1.265625 * v[from] - 2.8125 * d2 + d4;
      let even = d4 - 2.25 * d2;
      let odd = 0.75 * (d3 - 2.25 * d1);
      v[to + pointStride] = even + odd;
      v[to + 2 * pointStride] = even - odd;
      even = d4 - 0.5625 * d2;
      odd = 1.5 * (d3 - 0.5625 * d1);
      v[to + 3 * pointStride] = even + odd;
      v[to + 4 * pointStride] = even - odd;
      v[to + 5 * pointStride] = 1.265625 * d1 - 2.8125 * d3 + v[from + 5 * step];
    }
  },
  8(v, to, pointStride, from, step, count) {
    for (let c = 0; c < count; ++c, ++to, ++from) {
      const d1 = v[from + step];
      const d2 = v[from + 2 * step];
      const d3 = v[from + 3 * step];
      const d4 = v[from + 4 * step];
      const d5 = v[from + 5 * step];
      const d6 = v[from + 6 * step];
      v[to] = 5.25 * (d2 - d4) + d6 - v[from];
      let even = d2 + d6 - 4.25 * d4;
      let odd = d1 + d5 - 4.25 * d3;
      v[to + pointStride] = even + odd;
      v[to + 2 * pointStride] = even - odd;
      even = 0.25 * d2 - 1.25 * d4 + d6;
      odd = 0.5 * d1 - 2.5 * d3 + 2 * d5;
      v[to + 3 * pointStride] = even + odd;
      v[to + 4 * pointStride] = even - odd;
      even = 4 * d2 - 5 * d4 + d6;
      odd = 2 * d1 - 2.5 * d3 + 0.5 * d5;
      v[to + 5 * pointStride] = even + odd;
      v[to + 6 * pointStride] = even - odd;
      v[to + 7 * pointStride] = 5.25 * (d3 - d5) + v[from + 7 * step] - d1;
    }
  },
};

type TransformRow = (
  values: Float64Array,
  to: number,
  pointStride: number,
  from: number,
  step: number,
  count: number,
) => void;

/** What is computed at a time: of some output rows of an image the pixels of `tiles` tiles from `firstTile` on. */
interface Part {
  readonly image: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly firstTile: number;
  readonly tiles: number;
}

/** Computes part by part: its input is gathered and transformed, multiplied, and transformed back. */
export function runWinograd(geometry: ConvGeometry, plan: WinogradPlan, conv: CpuConv): Float32Array {
  const {batchSize, outHeight, outWidth, outChannels} = geometry;
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  const transformInput = inputTransform(geometry, plan, conv);
  const multiply = panelProduct(geometry, plan, conv);
  const transformBack = outputTransform(geometry, plan, conv, output);
  for (let image = 0; image < batchSize; ++image) {
    for (let firstRow = 0; firstRow < outHeight; firstRow += plan.rowsPerBlock) {
      const rows = Math.min(plan.rowsPerBlock, outHeight - firstRow);
      for (let firstTile = 0; firstTile < plan.tiles; firstTile += plan.tilesPerPart) {
        const tiles = Math.min(plan.tilesPerPart, plan.tiles - firstTile);
        const part = {image, firstRow, rows, firstTile, tiles};
        transformInput(part);
        for (let n = 0; n < outChannels; n += NR) {
          multiply(part, n);
          transformBack(part, n);
        }
      }
    }
  }
  return output;
}

/** Where transformed rows and products lie in the workspace. */
function layoutOf(geometry: ConvGeometry, plan: WinogradPlan) {
  const rowValues = plan.inputRowBytes / 8;
  const inputRows = plan.columnBytes / 8;
  return {
    columnFloats: geometry.strideWidth * geometry.inChannels,
    rowValues,
    inputRows,
    products: inputRows + plan.inputRows * rowValues,
  };
}

function inputTransform(geometry: ConvGeometry, plan: WinogradPlan, {x, workspace}: CpuConv) {
  const {inHeight, inWidth, inChannels, strideHeight, strideWidth} = geometry;
  const {points, outputs} = plan;
  const input = {x, strides: layoutStrides(geometry, inHeight, inWidth, inChannels)};
  const {columnFloats, rowValues, inputRows} = layoutOf(geometry, plan);
  const transform = TRANSFORM_ROW[points];
  // Rows are gathered one by one, as those under a filter of one row and stride 1.
  const rowGeometry = {...geometry, filterHeight: 1, strideHeight: 1, padTop: 0};
  return ({image, firstRow, rows, firstTile, tiles}: Part) => {
    const first = firstTile * outputs * strideWidth - geometry.padLeft;
    const columns = {first, step: 1, columns: plan.columns, groupStep: 0, groups: 1};
    const firstInput = firstRow * strideHeight - geometry.padTop;
    const count = inputRowsUnder(geometry, rows);
    for (let r = 0; r < count; ++r) {
      gatherStrip(workspace, input, image, rowGeometry, firstInput + r, columns);
      for (let t = 0; t < tiles; ++t) {
        const to = inputRows + r * rowValues + t * columnFloats;
        const from = t * outputs * columnFloats;
        transform(workspace, to, tiles * columnFloats, from, columnFloats, columnFloats);
      }
    }
  };
}

/** Makes the products of the panel of channels n to n + NR: [point][window][NR]. */
function panelProduct(geometry: ConvGeometry, plan: WinogradPlan, {workspace, panels}: CpuConv) {
  const {points} = plan;
  const {columnFloats, rowValues, inputRows, products} = layoutOf(geometry, plan);
  const pointValues = geometry.filterHeight * columnFloats * NR;
  const sums = new Float64Array(MR * NR);
  return ({rows, tiles}: Part, n: number) => {
    const windows = rows * tiles;
    const windowAt = (point: number, m: number) =>
      inputRows +
      Math.floor(m / tiles) * geometry.strideHeight * rowValues +
      point * tiles * columnFloats +
      (m % tiles) * columnFloats;
    for (let point = 0; point < points; ++point) {
      const panel = ((n / NR) * points + point) * pointValues;
      for (let m = 0; m < windows; m += MR) {
        const a = windowAt(point, m);
        tile(
          workspace,
          a,
          m + 1 < windows ? windowAt(point, m + 1) : a,
          m + 2 < windows ? windowAt(point, m + 2) : a,
          panels,
          panel,
          columnFloats,
          geometry.filterHeight,
          rowValues,
          sums,
        );
        const to = products + (point * windows + m) * NR;
        const values = Math.min(MR, windows - m) * NR;
        for (let i = 0; i < values; ++i) workspace[to + i] = sums[i];
      }
    }
  };
}

/** Transforms the products of the panel of channels n to n + NR back, and finishes the outputs. */
function outputTransform(geometry: ConvGeometry, plan: WinogradPlan, conv: CpuConv, output: Float32Array) {
  const {outHeight, outWidth, outChannels} = geometry;
  const {points, outputs} = plan;
  const {workspace} = conv;
  const strides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const {byChannel, bias, low, high, finish} = makeEpilogue(conv, outChannels);
  const {products} = layoutOf(geometry, plan);
  const pairs = PAIRS[points];
  const powers = pairs.map((p) => Float64Array.from({length: outputs}, (_, j) => p ** j));
  const even = new Float64Array(pairs.length);
  const odd = new Float64Array(pairs.length);
  return ({image, firstRow, rows, firstTile, tiles}: Part, n: number) => {
    const windows = rows * tiles;
    const stride = windows * NR;
    const width = Math.min(NR, outChannels - n);
    for (let m = 0; m < windows; ++m) {
      const row = firstRow + Math.floor(m / tiles);
      const firstPixel = (firstTile + (m % tiles)) * outputs;
      const pixels = Math.min(outputs, outWidth - firstPixel);
      for (let channel = n; channel < n + width; ++channel) {
        const product = products + m * NR + channel - n;
        for (let k = 0; k < pairs.length; ++k) {
          const plus = workspace[product + (2 * k + 1) * stride];
          const minus = workspace[product + (2 * k + 2) * stride];
          even[k] = plus + minus;
          odd[k] = plus - minus;
        }
        let to =
          image * strides.batch + row * strides.row + firstPixel * strides.pixel + channel * strides.channel;
        for (let j = 0; j < pixels; ++j) {
          let y = j === 0 ? workspace[product] : 0;
          if (j === outputs - 1) y += workspace[product + (points - 1) * stride];
          const terms = j % 2 === 0 ? even : odd;
          for (let k = 0; k < pairs.length; ++k) y += terms[k] * powers[k][j];
          output[to] = byChannel
            ? clamp(y + bias[channel], low, high)
            : finish(y, image, row, firstPixel + j, channel);
          to += strides.pixel;
        }
      }
    }
  };
}
