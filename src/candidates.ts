// What may compute a convolution, and in blocks of which size.
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {Im2winPlan, PlanContext, TargetName, Tile, WinogradPlan} from './plan.ts';
import {blockValues, type StripLayout, stripLayout} from './strip.ts';

/** What a plan is made for. */
interface Target {
  readonly tile: Tile;
  /** Of a value in strips, panels and products. */
  readonly valueBytes: 4 | 8;
  readonly readsRows: boolean;
  /** What a Winograd plan may have along the height. */
  readonly rowPoints: readonly WinogradPlan['rowPoints'][];
  /** By default no packed filter is kept that is larger than what tfjs's own kernel keeps; else all that may be used. */
  readonly keepsAsStock: boolean;
  /** For a single output channel, if that is another. */
  readonly narrow?: Target;
}

// The 6×8 tile needs twelve accumulators, two vectors of the panel and one of
// the input: the fifteen registers that V8 leaves on x86. A product that is not
// fused takes one more, hence five rows. The cpu backend sums doubles, one by
// one, and always three rows of them.
const TARGETS: Record<TargetName, Target> = {
  relaxed: {
    tile: {mr: 6, nr: 8, leastRows: 3},
    valueBytes: 4,
    readsRows: true,
    rowPoints: [1, 4, 6, 8],
    keepsAsStock: true,
  },
  strict: {
    tile: {mr: 5, nr: 8, leastRows: 2},
    valueBytes: 4,
    readsRows: true,
    rowPoints: [1, 4, 6, 8],
    keepsAsStock: true,
  },
  cpu: {
    tile: {mr: 3, nr: 4, leastRows: 3},
    valueBytes: 8,
    readsRows: false,
    rowPoints: [1],
    keepsAsStock: false,
    narrow: {
      tile: {mr: 8, nr: 1, leastRows: 3},
      valueBytes: 8,
      readsRows: false,
      rowPoints: [],
      keepsAsStock: false,
    },
  },
};

// A block's strips are to stay in the second-level cache beside a panel; but a
// block of too few windows reads the whole filter again for too little work.
const BLOCK_BYTES = 64 * 1024;
const BLOCK_WINDOWS = 96;
export const MAX_BLOCK_BYTES = 255 * 1024; // 256 KiB with the call's descriptors and alignment.
// A row that is so long that it does not fit may have this part of the matrix that
// im2col would write.
const MAX_BLOCK_SHARE = 0.1;
// What kernels/strip.h may write behind a strip.
const OVERHANG_BYTES = 16;
// Tiles of a Winograd block after which more of them gain nothing.
const WINOGRAD_TILES = 96;
// What a nested block, whose windows do not overlap, takes of the second-level cache.
const NESTED_BLOCK_BYTES = 384 * 1024;
// Gathered columns that are transformed at a time.
const COLUMN_BYTES = 24 * 1024;
// Outputs of a tile, along both axes, beyond which its error would be too large.
const MAX_NESTED_OUTPUTS = 24;
// Panels whose products are transformed back together, where there is room.
const PRODUCT_GROUP = 4;
const MAX_PACKED_BYTES = 8 * 1024 * 1024;

function targetOf({outChannels}: ConvGeometry, {target}: PlanContext): Target {
  const {narrow, ...wide} = TARGETS[target];
  return narrow !== undefined && outChannels === 1 ? narrow : wide;
}

/** Every plan that may be chosen, plain im2win first. */
export function candidatePlans(
  geometry: ConvGeometry,
  context: PlanContext,
): [Im2winPlan, ...WinogradPlan[]] {
  const target = targetOf(geometry, context);
  const {filtersChange = false, maxPackedFilterBytes} = context;
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  const filterBytes = target.valueBytes * filterHeight * filterWidth * inChannels * outChannels;
  const bound = maxPackedFilterBytes ?? Math.max(MAX_PACKED_BYTES, 2 * filterBytes);
  const kept = maxPackedFilterBytes ?? (target.keepsAsStock ? stockBytes(geometry) : bound);
  const im2win = {...planIm2win(geometry, target), repacks: filtersChange, keptBytes: kept};
  if (!context.winograd) return [im2win];
  const winograd = target.rowPoints.flatMap((rowPoints) =>
    ([8, 6, 4] as const).flatMap((points) => {
      const plan = planWinograd(geometry, target, points, rowPoints);
      if (plan === undefined || plan.panelBytes > bound) return [];
      return [{...plan, repacks: filtersChange || plan.panelBytes > kept, keptBytes: kept}];
    }),
  );
  return [im2win, ...winograd];
}

/** What tfjs's own wasm kernel keeps of a convolution: its filter twice, and a pointer for each tap of each pixel. */
function stockBytes({filterHeight, filterWidth, inChannels, outChannels, ...output}: ConvGeometry): number {
  const taps = filterHeight * filterWidth;
  return 4 * taps * (2 * inChannels * outChannels + output.outHeight * output.outWidth);
}

/**
 * The plan for so many points, or `undefined` where there is none: a dilated
 * filter, no or too many taps.
 */
function planWinograd(
  geometry: ConvGeometry,
  {tile, valueBytes}: Target,
  points: WinogradPlan['points'],
  rowPoints: WinogradPlan['rowPoints'],
): Omit<WinogradPlan, 'repacks' | 'keptBytes'> | undefined {
  const {strideWidth, inChannels, filterHeight, outHeight, outWidth} = geometry;
  const nested = rowPoints > 1;
  const taps = Math.ceil(geometry.filterWidth / strideWidth);
  const outputs = points - taps + 1;
  const rowPhases = nested ? geometry.strideHeight : filterHeight;
  const rowTaps = Math.ceil(filterHeight / rowPhases);
  const rowOutputs = rowPoints - rowTaps + 1;
  const dilated = geometry.dilationWidth > 1 || geometry.dilationHeight > 1;
  if (taps < 2 || outputs < 2 || dilated || inChannels === 0 || outHeight * outWidth === 0) return undefined;
  if (nested && (rowTaps < 2 || rowOutputs < 2 || rowOutputs * outputs > MAX_NESTED_OUTPUTS)) {
    return undefined;
  }
  const tiles = Math.ceil(outWidth / outputs);
  const rowGroups = Math.ceil(outHeight / rowOutputs);
  const columnFloats = strideWidth * inChannels;
  const windowBytes = valueBytes * rowPoints * points * (nested ? rowPhases : 1) * columnFloats;
  const panels = Math.ceil(geometry.outChannels / tile.nr);
  const productWindowBytes = valueBytes * rowPoints * points * tile.nr;
  const columnsOf = (count: number) => (count * outputs + taps - 1) * strideWidth;
  const columnBytesOf = (count: number) =>
    rowPoints * vectorBytes(valueBytes * columnsOf(count) * inChannels) + OVERHANG_BYTES;
  const inputRowsOf = (groups: number) => (nested ? groups : inputRowsUnder(geometry, groups));
  const outRows = (groups: number) => Math.min(groups * rowOutputs, outHeight);

  const budget = nested
    ? Math.min(allowedBlockBytes(geometry), Math.max(MAX_BLOCK_BYTES, NESTED_BLOCK_BYTES))
    : MAX_BLOCK_BYTES;
  // The gathered columns of all rows stay in the first-level cache until they are transformed.
  const gathers = Math.ceil(columnBytesOf(tiles) / COLUMN_BYTES);
  const wantedPerGather = nested ? Math.max(1, Math.floor(tiles / gathers)) : tiles;
  const bytesFor = (groups: number, part: number, group: number) =>
    columnBytesOf(Math.min(part, wantedPerGather)) +
    inputRowsOf(groups) * part * windowBytes +
    groups * part * group * productWindowBytes +
    outRows(groups) * outRowBytes(geometry);
  // Parts of a row that are as large as fit, and of one size.
  const largestPart = largest(tiles, (part) => bytesFor(1, part, 1) <= budget);
  const tilesPerPart = Math.ceil(tiles / Math.ceil(tiles / largestPart));
  // As many rows as fit, in blocks of one size: each block reads the whole filter.
  const most = largest(
    rowGroups,
    (groups) => (groups - 1) * tilesPerPart < WINOGRAD_TILES && bytesFor(groups, tilesPerPart, 1) <= budget,
  );
  const groupsPerBlock = Math.ceil(rowGroups / Math.ceil(rowGroups / most));
  if (bytesFor(groupsPerBlock, tilesPerPart, 1) > allowedBlockBytes(geometry)) return undefined;
  const group = largest(
    Math.min(PRODUCT_GROUP, panels),
    (count) => bytesFor(groupsPerBlock, tilesPerPart, count) <= budget,
  );
  const tilesPerGather = Math.min(tilesPerPart, wantedPerGather);
  const depth = rowPhases * columnFloats;
  return {
    algorithm: 'winograd',
    tile,
    points,
    outputs,
    taps,
    rowPoints,
    rowOutputs,
    rowPhases,
    tiles,
    tilesPerPart,
    tilesPerGather,
    columns: columnsOf(tilesPerGather),
    columnBytes: columnBytesOf(tilesPerGather),
    rowsPerBlock: groupsPerBlock * rowOutputs,
    inputRows: inputRowsOf(groupsPerBlock),
    inputRowBytes: tilesPerPart * windowBytes,
    group,
    productBytes: groupsPerBlock * tilesPerPart * group * productWindowBytes,
    blockBytes: outRows(groupsPerBlock) * outRowBytes(geometry),
    packing: `${filterName(geometry)} winograd ${rowPoints}×${points} stride ${rowPhases}×${strideWidth} panels ${tile.nr}`,
    panelBytes: valueBytes * rowPoints * points * depth * panels * tile.nr,
  };
}

function vectorBytes(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

/** The plan for plain im2win, whatever else could compute the convolution. */
function planIm2win(
  geometry: ConvGeometry,
  {tile, valueBytes, readsRows}: Target,
): Omit<Im2winPlan, 'repacks' | 'keptBytes'> {
  const strip = stripLayout(geometry, readsRows);
  const pixelsPerRow = Math.ceil(geometry.outWidth / strip.phases);
  const rowBytes = valueBytes * blockValues(strip, geometry, 1, pixelsPerRow);
  const parts = strip.source === 'input' ? 1 : stripsPerRow(geometry, rowBytes, pixelsPerRow);
  const pixelsPerStrip = Math.ceil(pixelsPerRow / parts);
  const bytesFor = (rows: number) => valueBytes * blockValues(strip, geometry, rows, pixelsPerStrip);
  const rowsPerBlock = parts > 1 ? 1 : blockRows(geometry, strip, bytesFor);
  return {
    algorithm: 'im2win',
    tile,
    strip,
    rowsPerBlock,
    pixelsPerStrip,
    stripBytes: strip.source === 'input' ? 0 : bytesFor(rowsPerBlock) + OVERHANG_BYTES,
    blockBytes: rowsPerBlock * outRowBytes(geometry),
    packing: `${filterName(geometry)} panels ${tile.nr}${strip.source === 'strips' ? '' : ' by rows'}`,
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
function filterName({filterHeight, filterWidth, inChannels, outChannels, cut}: ConvGeometry): string {
  const taps = `${filterHeight}×${filterWidth}×${inChannels}×${outChannels}`;
  return cut === undefined ? taps : `${taps} at ${cut.row}, ${cut.column} of ${cut.rowTaps}`;
}

/** Whether the kernel takes a few windows at a time, whatever the block: as kernels/gemm.h has it. */
export function takesFewWindows(depth: number, outChannels: number): boolean {
  const filterBytes = 4 * depth * outChannels;
  return filterBytes <= 16 * 1024 || (filterBytes <= 64 * 1024 && outChannels >= depth);
}

function blockRows(
  geometry: ConvGeometry,
  {source, depth}: StripLayout,
  bytesFor: (rows: number) => number,
): number {
  const {batchSize, outHeight, outWidth, outChannels} = geometry;
  // Blocks of rows end with the image.
  const all = source === 'rows' ? outHeight : batchSize * outHeight;
  if (source === 'input' && takesFewWindows(depth, outChannels)) return all;
  return largest(all, (rows) => {
    const bytes = bytesFor(rows) + rows * outRowBytes(geometry);
    return bytes <= ((rows - 1) * outWidth < BLOCK_WINDOWS ? MAX_BLOCK_BYTES : BLOCK_BYTES);
  });
}

/**
 * The largest number from 1 to `most` that fits, where all below one that fits do; 1 if none does. Found by
 * halving: an image may have 2³⁰ rows.
 */
export function largest(most: number, fits: (count: number) => boolean): number {
  let low = 1;
  let high = Math.max(1, most);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
