// What may compute a convolution, and in blocks of which size.
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {Flavour, Im2winPlan, PlanContext, Tile, WinogradPlan} from './plan.ts';
import {stripLayout, stripValues} from './strip.ts';

/** What a plan is made for. */
interface Target {
  readonly tile: Tile;
  /** Of a value in strips, panels and products. */
  readonly valueBytes: 4 | 8;
  readonly readsInPlace: boolean;
}

// The 6×8 tile needs twelve accumulators, two vectors of the panel and one of
// the input: the fifteen registers that V8 leaves on x86. A product that is not
// fused takes one more, hence five rows. The cpu backend sums doubles, one by
// one, and always three rows of them.
const TARGETS: Record<Flavour | 'cpu', Target> = {
  relaxed: {tile: {mr: 6, nr: 8, leastRows: 3}, valueBytes: 4, readsInPlace: true},
  strict: {tile: {mr: 5, nr: 8, leastRows: 2}, valueBytes: 4, readsInPlace: true},
  cpu: {tile: {mr: 3, nr: 4, leastRows: 3}, valueBytes: 8, readsInPlace: false},
};

// A block's strips are to stay in the second-level cache beside a panel; but a
// block of too few windows reads the whole filter again for too little work.
const BLOCK_BYTES = 64 * 1024;
const BLOCK_WINDOWS = 96;
export const MAX_BLOCK_BYTES = 255 * 1024; // 256 KiB with the call's descriptors and alignment.
// A row that is so long that it does not fit may have this part of the matrix that
// im2col would write.
const MAX_BLOCK_SHARE = 0.1;
// What kernels/strip.cpp may write behind a strip.
const OVERHANG_BYTES = 16;
// Tiles of a Winograd block after which more of them gain nothing.
const WINOGRAD_TILES = 96;
// Panels whose products are transformed back together, where there is room.
const PRODUCT_GROUP = 4;
const MAX_PACKED_BYTES = 8 * 1024 * 1024;

/** Every plan that may be chosen, plain im2win first. */
export function candidatePlans(
  geometry: ConvGeometry,
  context: PlanContext,
): [Im2winPlan, ...WinogradPlan[]] {
  const target = TARGETS[context.backend === 'cpu' ? 'cpu' : context.flavour];
  const im2win = planIm2win(geometry, target);
  if (!context.winograd) return [im2win];
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  const filterBytes = target.valueBytes * filterHeight * filterWidth * inChannels * outChannels;
  const bound = context.maxPackedFilterBytes ?? Math.max(MAX_PACKED_BYTES, 2 * filterBytes);
  const winograd = ([8, 6, 4] as const).map((points) => planWinograd(geometry, target, points));
  return [im2win, ...winograd.filter((plan) => plan !== undefined && plan.panelBytes <= bound)] as [
    Im2winPlan,
    ...WinogradPlan[],
  ];
}

/**
 * The plan for F(points - taps + 1, taps), or `undefined` where there is none: a
 * dilated filter, no or too many taps.
 */
function planWinograd(
  geometry: ConvGeometry,
  {tile, valueBytes}: Target,
  points: WinogradPlan['points'],
): WinogradPlan | undefined {
  const {strideWidth, inChannels, filterHeight, outWidth} = geometry;
  const taps = Math.ceil(geometry.filterWidth / strideWidth);
  const outputs = points - taps + 1;
  const dilated = geometry.dilationWidth > 1 || geometry.dilationHeight > 1;
  if (taps < 2 || outputs < 2 || dilated || inChannels === 0) return undefined;
  const tiles = Math.ceil(outWidth / outputs);
  const columnFloats = strideWidth * inChannels;
  const inputRowBytes = valueBytes * points * tiles * columnFloats;
  const columns = (tiles * outputs + taps - 1) * strideWidth;
  const columnBytes = valueBytes * columns * inChannels + OVERHANG_BYTES;
  const panels = Math.ceil(geometry.outChannels / tile.nr);
  const productRowBytes = valueBytes * points * tiles * tile.nr;
  const inputRowsFor = (rows: number) => inputRowsUnder(geometry, rows);
  const bytesFor = (rows: number, group: number) =>
    columnBytes +
    inputRowsFor(rows) * inputRowBytes +
    rows * (group * productRowBytes + outRowBytes(geometry));
  // As many rows as fit, in blocks of one size: each block reads the whole filter.
  let most = 1;
  while (
    most < geometry.outHeight &&
    most * tiles < WINOGRAD_TILES &&
    bytesFor(most + 1, 1) <= MAX_BLOCK_BYTES
  ) {
    ++most;
  }
  const rowsPerBlock = Math.ceil(geometry.outHeight / Math.ceil(geometry.outHeight / most));
  if (bytesFor(rowsPerBlock, 1) > allowedBlockBytes(geometry)) return undefined;
  let group = Math.min(PRODUCT_GROUP, panels);
  while (group > 1 && bytesFor(rowsPerBlock, group) > MAX_BLOCK_BYTES) --group;
  const depth = filterHeight * columnFloats;
  return {
    algorithm: 'winograd',
    tile,
    points,
    outputs,
    taps,
    tiles,
    columns,
    columnBytes,
    rowsPerBlock,
    inputRows: inputRowsFor(rowsPerBlock),
    inputRowBytes,
    group,
    productBytes: rowsPerBlock * group * productRowBytes,
    blockBytes: rowsPerBlock * outRowBytes(geometry),
    packing: `${filterName(geometry)} winograd ${points} stride ${strideWidth} panels ${tile.nr}`,
    panelBytes: valueBytes * points * depth * panels * tile.nr,
  };
}

/** The plan for plain im2win, whatever else could compute the convolution. */
function planIm2win(geometry: ConvGeometry, {tile, valueBytes, readsInPlace}: Target): Im2winPlan {
  const strip = stripLayout(geometry, readsInPlace);
  const pixelsPerRow = Math.ceil(geometry.outWidth / strip.phases);
  const rowBytes = valueBytes * strip.windowRowStride;
  const parts = strip.inPlace ? 1 : stripsPerRow(geometry, rowBytes, pixelsPerRow);
  const pixelsPerStrip = Math.ceil(pixelsPerRow / parts);
  const stripBytes = valueBytes * stripValues(strip, geometry, pixelsPerStrip);
  const rowsPerBlock = parts > 1 ? 1 : blockRows(geometry, rowBytes + outRowBytes(geometry));
  return {
    algorithm: 'im2win',
    tile,
    strip,
    rowsPerBlock,
    pixelsPerStrip,
    stripBytes: strip.inPlace ? 0 : rowsPerBlock * stripBytes + OVERHANG_BYTES,
    blockBytes: rowsPerBlock * outRowBytes(geometry),
    packing: `${filterName(geometry)} panels ${tile.nr}${strip.inPlace ? ' by rows' : ''}`,
    panelBytes: valueBytes * strip.depth * Math.ceil(geometry.outChannels / tile.nr) * tile.nr,
  };
}

/** What a row of output pixels takes until it is spread over planes. */
function outRowBytes({dataFormat, outWidth, outChannels}: ConvGeometry): number {
  return dataFormat === 'NCHW' ? 4 * outWidth * outChannels : 0;
}

/** More than one for a row that does not fit; each of them reads the whole filter. */
function stripsPerRow(geometry: ConvGeometry, rowBytes: number, pixelsPerRow: number): number {
  const wanted = Math.min(Math.ceil(rowBytes / MAX_BLOCK_BYTES), Math.ceil(pixelsPerRow / BLOCK_WINDOWS));
  return Math.max(1, wanted, Math.ceil(rowBytes / allowedBlockBytes(geometry)));
}

/** What a block may take. */
function allowedBlockBytes({batchSize, outHeight, outWidth, ...filter}: ConvGeometry): number {
  const windows = batchSize * outHeight * outWidth;
  const im2colBytes = 4 * windows * filter.filterHeight * filter.filterWidth * filter.inChannels;
  return Math.max(MAX_BLOCK_BYTES, MAX_BLOCK_SHARE * im2colBytes);
}

// Tensors of different shapes may share their data, and so its id.
function filterName({filterHeight, filterWidth, inChannels, outChannels}: ConvGeometry): string {
  return `${filterHeight}×${filterWidth}×${inChannels}×${outChannels}`;
}

function blockRows(geometry: ConvGeometry, rowBytes: number): number {
  const all = geometry.batchSize * geometry.outHeight;
  const wanted = Math.max(Math.floor(BLOCK_BYTES / rowBytes), Math.ceil(BLOCK_WINDOWS / geometry.outWidth));
  const fitting = Math.floor(MAX_BLOCK_BYTES / rowBytes);
  return Math.max(1, Math.min(wanted, fitting, all));
}
