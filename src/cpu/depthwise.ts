import type {ConvGeometry} from '../geometry.ts';
import {filterPlace} from '../taps.ts';
import {type CpuConv, clamp, type Epilogue, makeEpilogue} from './epilogue.ts';
import {gatherStrip, layoutStrides, type Strides, type StripColumns} from './gather.ts';

/** Output pixels of a tile. */
const PIXELS = 4;

/** Bytes that the kept rows may take. Only the windows of a single tile may take more. */
export const ROWS_BYTES = 8 * 2 ** 20;

/**
 * A depthwise convolution, summed in double precision. The input rows under an output
 * row are kept as padded doubles, so that each value is converted once. A tile is
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
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  const input = {x: conv.x, strides: layoutStrides(geometry, inHeight, inWidth, inChannels)};
  const yStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const epilogue = makeEpilogue(conv, outChannels);

  const {rowCount, rowValues, pixels, columns, inRows} = keptRows(geometry);
  const {filterHeight, strideHeight, dilationHeight, padTop} = geometry;
  const taps = tapsOf(geometry, filter);
  const tapRow = geometry.filterWidth * outChannels;
  const rows = Array.from({length: rowCount}, () => new Float64Array(rowValues));
  const held = new Float64Array(rowCount);
  const rowGeometry = {...geometry, filterHeight: 1, strideHeight: 1, padTop: 0};
  const sums = new Float64Array(PIXELS * outChannels);
  const tile =
    (inRows.dilationWidth === 1 && TILES[`${inRows.filterWidth}/${inRows.strideWidth}`]) || tileOfAny;
  const under: Float64Array[] = [];

  // Output rows see input rows of another's only if they are a multiple of this apart. So they are computed in this
  // order, and find rows that are kept already.
  const apart = dilationHeight / gcd(strideHeight, dilationHeight);

  const sumRow = (image: number, row: number, firstPixel: number) => {
    const top = row * strideHeight - padTop;
    const gathered = {...columns, first: firstPixel * geometry.strideWidth - geometry.padLeft};
    const firstTap = Math.max(0, Math.ceil(-top / dilationHeight));
    under.length = 0;
    for (let kh = firstTap; kh < filterHeight; ++kh) {
      const h = top + kh * dilationHeight;
      if (h >= inHeight) break;
      const slot = Math.floor(h / dilationHeight) % rowCount;
      if (held[slot] !== h) {
        gatherStrip(rows[slot], input, image, rowGeometry, h, gathered);
        held[slot] = h;
      }
      under.push(rows[slot]);
    }
    const end = Math.min(outWidth, firstPixel + pixels);
    const pixelValues = inRows.strideWidth * inChannels;
    for (let pixel = firstPixel; pixel < end; pixel += PIXELS) {
      tile(under, (pixel - firstPixel) * pixelValues, firstTap * tapRow, inRows, taps, sums);
      const first = image * yStrides.batch + row * yStrides.row + pixel * yStrides.pixel;
      const count = Math.min(PIXELS, end - pixel);
      if (epilogue.byChannel) {
        writePixels(output, first, yStrides, count, sums, epilogue);
        continue;
      }
      for (let p = 0; p < count; ++p) {
        const to = first + p * yStrides.pixel;
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
  };

  for (let image = 0; image < batchSize; ++image) {
    for (let firstPixel = 0; firstPixel < outWidth; firstPixel += pixels) {
      held.fill(-1);
      for (let first = 0; first < Math.min(apart, outHeight); ++first) {
        for (let row = first; row < outHeight; row += apart) sumRow(image, row, firstPixel);
      }
    }
  }
  return output;
}

/** Which input rows are kept at a time, and how they lie. */
interface KeptRows {
  readonly rowCount: number;
  readonly rowValues: number;
  /** Output pixels of a row that are computed at a time. The last tile may reach over the row's end. */
  readonly pixels: number;
  readonly columns: Omit<StripColumns, 'first'>;
  /** The geometry of a kept row: its stride and dilation count columns of the row, not of the input. */
  readonly inRows: ConvGeometry;
}

/**
 * A kept row has all columns from its first window to its last, or the columns of window after window where these
 * are fewer. So what is kept is bounded by `ROWS_BYTES`, or by one tile's windows, whatever the strides, dilations
 * and padding.
 */
export function keptRows(geometry: ConvGeometry): KeptRows {
  const {filterHeight, filterWidth, strideWidth, dilationWidth} = geometry;
  const rowCount = Math.min(filterHeight, Math.ceil(geometry.inHeight / geometry.dilationHeight));
  const layout = (pixels: number): KeptRows => {
    const span = (pixels - 1) * strideWidth + (filterWidth - 1) * dilationWidth + 1;
    const apart = span > pixels * filterWidth;
    const columns = apart
      ? {columns: filterWidth, step: dilationWidth, groups: pixels, groupStep: strideWidth}
      : {columns: span, step: 1, groups: 1, groupStep: 0};
    return {
      rowCount,
      rowValues: columns.columns * columns.groups * geometry.inChannels,
      pixels,
      columns,
      inRows: apart ? {...geometry, strideWidth: filterWidth, dilationWidth: 1} : geometry,
    };
  };
  let rows = layout(wholeTiles(geometry.outWidth));
  while (rows.pixels > PIXELS && 8 * rows.rowCount * rows.rowValues > ROWS_BYTES) {
    rows = layout(wholeTiles(rows.pixels / 2));
  }
  return rows;
}

function wholeTiles(pixels: number): number {
  return Math.ceil(pixels / PIXELS) * PIXELS;
}

/** The filter's values as doubles: [filterHeight][filterWidth][outChannels]. */
function tapsOf(geometry: ConvGeometry, filter: ArrayLike<number>): Float64Array {
  const {filterHeight, filterWidth, outChannels} = geometry;
  const {offset, rowTaps} = filterPlace(geometry);
  const rowValues = filterWidth * outChannels;
  const taps = new Float64Array(filterHeight * rowValues);
  for (let kh = 0; kh < filterHeight; ++kh) {
    const from = offset + kh * rowTaps * outChannels;
    for (let i = 0; i < rowValues; ++i) taps[kh * rowValues + i] = filter[from + i];
  }
  return taps;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Adds the bias of each channel, clamps and writes. It is a function of its own so that V8 compiles it by itself. */
function writePixels(
  output: Float32Array,
  first: number,
  {pixel, channel}: Strides,
  count: number,
  sums: Float64Array,
  {bias, low, high}: Epilogue,
): void {
  for (let p = 0, from = 0; p < count; ++p) {
    for (let n = 0, to = first + p * pixel; n < bias.length; ++n, ++from, to += channel) {
      output[to] = clamp(sums[from] + bias[n], low, high);
    }
  }
}

/**
 * Sums four pixels of every channel to `sums`: [pixel][outChannels]. Their windows begin at `at` of each row, and
 * the taps of the first row at `firstTap`.
 */
type Tile = (
  rows: readonly Float64Array[],
  at: number,
  firstTap: number,
  geometry: ConvGeometry,
  taps: Float64Array,
  sums: Float64Array,
) => void;

const tileOfAny: Tile = (rows, at, firstTap, geometry, taps, sums) => {
  const {filterWidth, inChannels, outChannels, channelMultiplier = 1} = geometry;
  const tapStep = geometry.dilationWidth * inChannels;
  const step = geometry.strideWidth * inChannels;
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = firstTap + n;
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

// Tiles of filters that are not dilated, whose neighbouring windows share columns.

const tile3: Tile = (rows, at, firstTap, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = firstTap + n;
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

const tile3stride2: Tile = (
  rows,
  at,
  firstTap,
  {inChannels, outChannels, channelMultiplier = 1},
  taps,
  sums,
) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = firstTap + n;
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

const tile5: Tile = (rows, at, firstTap, {inChannels, outChannels, channelMultiplier = 1}, taps, sums) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = firstTap + n;
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

const tile5stride2: Tile = (
  rows,
  at,
  firstTap,
  {inChannels, outChannels, channelMultiplier = 1},
  taps,
  sums,
) => {
  for (let n = 0; n < outChannels; ++n) {
    const first = at + (channelMultiplier === 1 ? n : Math.floor(n / channelMultiplier));
    let tap = firstTap + n;
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

/** By filter width and stride: `filterWidth/strideWidth`. */
const TILES: Readonly<Record<string, Tile>> = {
  '3/1': tile3,
  '3/2': tile3stride2,
  '5/1': tile5,
  '5/2': tile5stride2,
};
