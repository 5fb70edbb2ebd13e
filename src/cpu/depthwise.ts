import type {ConvGeometry} from '../geometry.ts';
import {type CpuConv, clamp, type Epilogue, makeEpilogue} from './epilogue.ts';
import {gatherStrip, layoutStrides} from './gather.ts';

/** Output pixels of a tile. */
const PIXELS = 4;

/**
 * A depthwise convolution, summed in double precision. The input rows under an output
 * row are kept as padded doubles, so that each value is converted once; a tile is
 * four neighbouring pixels of one channel, summed in local variables.
 *
 * @param filter [filterHeight, filterWidth, inChannels, channelMultiplier]
 * @returns The output, in the geometry's data format.
 */
export function runDepthwise(
  geometry: ConvGeometry,
  filter: ArrayLike<number>,
  conv: Omit<CpuConv, 'panels' | 'workspace'>,
): Float32Array {
  const {batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels} = geometry;
  const {filterHeight, filterWidth, dilationHeight, dilationWidth, strideWidth} = geometry;
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  const xStrides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const yStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const epilogue = makeEpilogue(conv, outChannels);

  // The last tile may reach over the output row's end.
  const pixels = Math.ceil(outWidth / PIXELS) * PIXELS;
  const columns = (pixels - 1) * strideWidth + (filterWidth - 1) * dilationWidth + 1;
  const rowValues = columns * inChannels;
  const rowCount = (filterHeight - 1) * dilationHeight + 1;
  const rows = Array.from({length: rowCount}, () => new Float64Array(rowValues));
  const rowGeometry = {...geometry, filterHeight: 1, strideHeight: 1, padTop: 0};
  const gathered = {first: -geometry.padLeft, step: 1, columns, groupStep: 0, groups: 1};
  const taps = new Float64Array(filter);
  const sums = new Float64Array(PIXELS * outChannels);
  const tile = (dilationWidth === 1 && TILES[`${filterWidth}/${strideWidth}`]) || tileOfAny;
  const under: Float64Array[] = [];

  for (let image = 0; image < batchSize; ++image) {
    let next = -geometry.padTop;
    for (let row = 0; row < outHeight; ++row) {
      const top = row * geometry.strideHeight - geometry.padTop;
      for (next = Math.max(next, top); next < top + rowCount; ++next) {
        const to = rows[(next + geometry.padTop) % rowCount];
        gatherStrip(to, conv.x, image * xStrides.batch, xStrides, rowGeometry, next, gathered);
      }
      for (let kh = 0; kh < filterHeight; ++kh) {
        under[kh] = rows[(top + kh * dilationHeight + geometry.padTop) % rowCount];
      }
      for (let pixel = 0; pixel < outWidth; pixel += PIXELS) {
        tile(under, pixel * strideWidth * inChannels, geometry, taps, sums);
        for (let p = 0; p < PIXELS && pixel + p < outWidth; ++p) {
          const to = image * yStrides.batch + row * yStrides.row + (pixel + p) * yStrides.pixel;
          if (epilogue.byChannel) {
            writePixel(output, to, yStrides.channel, sums, p * outChannels, epilogue);
            continue;
          }
          for (let n = 0; n < outChannels; ++n) {
            output[to + n * yStrides.channel] = epilogue.finish(
              sums[p * outChannels + n],
              image,
              row,
              pixel + p,
              n,
            );
          }
        }
      }
    }
  }
  return output;
}

/** Adds the bias of each channel, clamps and writes: a function of its own, so that V8 compiles it alone. */
function writePixel(
  output: Float32Array,
  to: number,
  step: number,
  sums: Float64Array,
  from: number,
  {bias, low, high}: Epilogue,
): void {
  for (let n = 0; n < bias.length; ++n, to += step) output[to] = clamp(sums[from + n] + bias[n], low, high);
}

/** Sums four pixels of every channel, whose windows begin at `at` of each row, to [pixel][outChannels]. */
type Tile = (
  rows: readonly Float64Array[],
  at: number,
  geometry: ConvGeometry,
  taps: Float64Array,
  sums: Float64Array,
) => void;

const tileOfAny: Tile = (rows, at, geometry, taps, sums) => {
  const {filterWidth, inChannels, outChannels, channelMultiplier = 1} = geometry;
  const tapStep = geometry.dilationWidth * inChannels;
  const step = geometry.strideWidth * inChannels;
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (const row of rows) {
      let from = first;
      for (let kw = 0; kw < filterWidth; ++kw, from += tapStep, tap += outChannels) {
        const value = taps[tap];
        s0 += row[from] * value;
        s1 += row[from + step] * value;
        s2 += row[from + 2 * step] * value;
        s3 += row[from + 3 * step] * value;
      }
    }
    sums[n] = s0;
    sums[outChannels + n] = s1;
    sums[2 * outChannels + n] = s2;
    sums[3 * outChannels + n] = s3;
  }
};

// Taps side by side: neighbouring windows share columns.

const tile3: Tile = (rows, at, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let kh = 0; kh < rows.length; ++kh) {
      const row = rows[kh];
      const a = taps[tap];
      const b = taps[tap + outChannels];
      const c = taps[tap + 2 * outChannels];
      tap += 3 * outChannels;
      const x1 = row[first + inChannels];
      const x2 = row[first + 2 * inChannels];
      const x3 = row[first + 3 * inChannels];
      const x4 = row[first + 4 * inChannels];
      s0 += row[first] * a + x1 * b + x2 * c;
      s1 += x1 * a + x2 * b + x3 * c;
      s2 += x2 * a + x3 * b + x4 * c;
      s3 += x3 * a + x4 * b + row[first + 5 * inChannels] * c;
    }
    sums[n] = s0;
    sums[outChannels + n] = s1;
    sums[2 * outChannels + n] = s2;
    sums[3 * outChannels + n] = s3;
  }
};

const tile3stride2: Tile = (rows, at, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let kh = 0; kh < rows.length; ++kh) {
      const row = rows[kh];
      const a = taps[tap];
      const b = taps[tap + outChannels];
      const c = taps[tap + 2 * outChannels];
      tap += 3 * outChannels;
      const x2 = row[first + 2 * inChannels];
      const x4 = row[first + 4 * inChannels];
      const x6 = row[first + 6 * inChannels];
      s0 += row[first] * a + row[first + inChannels] * b + x2 * c;
      s1 += x2 * a + row[first + 3 * inChannels] * b + x4 * c;
      s2 += x4 * a + row[first + 5 * inChannels] * b + x6 * c;
      s3 += x6 * a + row[first + 7 * inChannels] * b + row[first + 8 * inChannels] * c;
    }
    sums[n] = s0;
    sums[outChannels + n] = s1;
    sums[2 * outChannels + n] = s2;
    sums[3 * outChannels + n] = s3;
  }
};

const tile5: Tile = (rows, at, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let kh = 0; kh < rows.length; ++kh) {
      const row = rows[kh];
      const a = taps[tap];
      const b = taps[tap + outChannels];
      const c = taps[tap + 2 * outChannels];
      const d = taps[tap + 3 * outChannels];
      const e = taps[tap + 4 * outChannels];
      tap += 5 * outChannels;
      const x1 = row[first + inChannels];
      const x2 = row[first + 2 * inChannels];
      const x3 = row[first + 3 * inChannels];
      const x4 = row[first + 4 * inChannels];
      const x5 = row[first + 5 * inChannels];
      const x6 = row[first + 6 * inChannels];
      s0 += row[first] * a + x1 * b + x2 * c + x3 * d + x4 * e;
      s1 += x1 * a + x2 * b + x3 * c + x4 * d + x5 * e;
      s2 += x2 * a + x3 * b + x4 * c + x5 * d + x6 * e;
      s3 += x3 * a + x4 * b + x5 * c + x6 * d + row[first + 7 * inChannels] * e;
    }
    sums[n] = s0;
    sums[outChannels + n] = s1;
    sums[2 * outChannels + n] = s2;
    sums[3 * outChannels + n] = s3;
  }
};

const tile5stride2: Tile = (rows, at, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let kh = 0; kh < rows.length; ++kh) {
      const row = rows[kh];
      const a = taps[tap];
      const b = taps[tap + outChannels];
      const c = taps[tap + 2 * outChannels];
      const d = taps[tap + 3 * outChannels];
      const e = taps[tap + 4 * outChannels];
      tap += 5 * outChannels;
      const x2 = row[first + 2 * inChannels];
      const x3 = row[first + 3 * inChannels];
      const x4 = row[first + 4 * inChannels];
      const x5 = row[first + 5 * inChannels];
      const x6 = row[first + 6 * inChannels];
      const x7 = row[first + 7 * inChannels];
      const x8 = row[first + 8 * inChannels];
      s0 += row[first] * a + row[first + inChannels] * b + x2 * c + x3 * d + x4 * e;
      s1 += x2 * a + x3 * b + x4 * c + x5 * d + x6 * e;
      s2 += x4 * a + x5 * b + x6 * c + x7 * d + x8 * e;
      s3 += x6 * a + x7 * b + x8 * c + row[first + 9 * inChannels] * d + row[first + 10 * inChannels] * e;
    }
    sums[n] = s0;
    sums[outChannels + n] = s1;
    sums[2 * outChannels + n] = s2;
    sums[3 * outChannels + n] = s3;
  }
};

/** By filterWidth/strideWidth. */
const TILES: Readonly<Record<string, Tile>> = {
  '3/1': tile3,
  '3/2': tile3stride2,
  '5/1': tile5,
  '5/2': tile5stride2,
};
