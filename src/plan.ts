import type {ConvGeometry} from './geometry.ts';
import {stockDefect} from './stock.ts';
import {type StripLayout, stripLayout} from './strip.ts';

/** What a registration is asked to use. */
export type Algorithm = 'auto' | 'im2win' | 'winograd' | 'stock';

/** Plain SIMD128, or SIMD128 with relaxed (fused) multiply-add. */
export type Flavour = 'strict' | 'relaxed';

/** A register tile: MR windows by NR output channels. */
export interface Tile {
  readonly mr: number;
  readonly nr: number;
}

/** Where a convolution runs, and what a plan may not depend on otherwise. */
export type PlanContext = WasmContext | CpuContext;

export interface WasmContext {
  readonly backend: 'wasm';
  readonly algorithm: Algorithm;
  readonly flavour: Flavour;
  /** The threads that tfjs's own kernels run on. */
  readonly threads: number;
  /** Why im2win cannot run at all on this backend instance, if so. */
  readonly unavailable?: string;
}

export interface CpuContext {
  readonly backend: 'cpu';
  readonly algorithm: Algorithm;
}

export interface Im2winPlan {
  readonly algorithm: 'im2win';
  readonly tile: Tile;
  readonly strip: StripLayout;
  /** Output rows whose strips are in the workspace at a time. */
  readonly rowsPerBlock: number;
  readonly stripBytes: number;
  /** Calls with the same filter and the same packing share the packed filter. */
  readonly packing: string;
  readonly panelBytes: number;
}

/**
 * Winograd's F(outputs, taps) along the width. A stride s along the width is a
 * stride of 1 over columns of s · inChannels channels.
 */
export interface WinogradPlan {
  readonly algorithm: 'winograd';
  readonly tile: Tile;
  /** Products for each tile of outputs: outputs + taps - 1, one of 4, 6 and 8. */
  readonly points: 4 | 6 | 8;
  readonly outputs: number;
  readonly taps: number;
  /** Tiles in an output row; the last may reach over its end. */
  readonly tiles: number;
  /** Input columns that are gathered for a row of tiles. */
  readonly columns: number;
  readonly columnBytes: number;
  /** Output rows in a block, and the transformed input rows that they need. */
  readonly rowsPerBlock: number;
  readonly inputRows: number;
  readonly inputRowBytes: number;
  /** Panels whose products are transformed back together. */
  readonly group: number;
  readonly productBytes: number;
  readonly packing: string;
  readonly panelBytes: number;
}

export interface StockPlan {
  readonly algorithm: 'stock';
  readonly reason: string;
}

export type Plan = Im2winPlan | WinogradPlan | StockPlan;

/** What a plan is made for: a register tile, and the costs beside it. */
interface Target {
  readonly tile: Tile;
  /** Of a value in strips, panels and products. */
  readonly valueBytes: 4 | 8;
  readonly readsInPlace: boolean;
  /** What a product costs that is transformed back, in the steps of the cost model. */
  readonly backSteps: number;
}

// The 6×8 tile needs twelve accumulators, two vectors of the panel and one of
// the input: the fifteen registers that V8 leaves on x86. A product that is not
// fused takes one more, hence five rows. The cpu backend sums doubles, one by one.
const TARGETS: Record<Flavour | 'cpu', Target> = {
  relaxed: {tile: {mr: 6, nr: 8}, valueBytes: 4, readsInPlace: true, backSteps: 30},
  strict: {tile: {mr: 5, nr: 8}, valueBytes: 4, readsInPlace: true, backSteps: 30},
  cpu: {tile: {mr: 3, nr: 4}, valueBytes: 8, readsInPlace: false, backSteps: 8},
};

function targetOf(context: PlanContext): Target {
  return TARGETS[context.backend === 'cpu' ? 'cpu' : context.flavour];
}

// A block's strips are to stay in the second-level cache beside a panel; but a
// block of too few windows reads the whole filter again for too little work.
const BLOCK_BYTES = 64 * 1024;
const BLOCK_WINDOWS = 96;
const MAX_BLOCK_BYTES = 256 * 1024;
// What kernels/strip.cpp may write behind a strip.
const OVERHANG_BYTES = 16;
// Tiles of a Winograd block after which more of them gain nothing.
const WINOGRAD_TILES = 96;
// Panels whose products are transformed back together, where there is room.
const PRODUCT_GROUP = 4;

/**
 * Chooses how a convolution is computed: a pure function of its geometry and of
 * where it runs.
 */
export function planConv(geometry: ConvGeometry, context: PlanContext): Plan {
  if (context.backend === 'wasm') {
    if (geometry.dataFormat !== 'NHWC') {
      return {algorithm: 'stock', reason: `data format ${geometry.dataFormat}`};
    }
    if (stockDefect(geometry) !== undefined) return planOurs(geometry, context);
    if (context.unavailable !== undefined) {
      return {algorithm: 'stock', reason: context.unavailable};
    }
    if (context.algorithm === 'auto' && context.threads > 1) {
      return {algorithm: 'stock', reason: `tfjs runs on ${context.threads} threads, im2win on one`};
    }
  }
  if (context.algorithm === 'stock') {
    return {algorithm: 'stock', reason: "algorithm 'stock' was asked for"};
  }
  return planOurs(geometry, context);
}

/** Every plan that could compute a convolution that is ours. */
export function candidatePlans(geometry: ConvGeometry, context: PlanContext): (Im2winPlan | WinogradPlan)[] {
  const target = targetOf(context);
  const winograd = ([8, 6, 4] as const).map((points) => planWinograd(geometry, target, points));
  return [planIm2win(geometry, target), ...winograd.filter((plan) => plan !== undefined)];
}

/** The plan for a convolution that is ours to compute. */
export function planOurs(geometry: ConvGeometry, context: PlanContext): Im2winPlan | WinogradPlan {
  const target = targetOf(context);
  const im2win = planIm2win(geometry, target);
  if (context.algorithm === 'im2win') return im2win;
  const candidates = ([8, 6, 4] as const)
    .map((points) => planWinograd(geometry, target, points))
    .filter((plan) => plan !== undefined)
    .map((plan) => ({plan, cost: winogradCost(geometry, target, plan)}));
  const cheapest = candidates.sort((a, b) => a.cost - b.cost)[0];
  if (cheapest === undefined) return im2win;
  return context.algorithm === 'winograd' || cheapest.cost < im2winCost(geometry) ? cheapest.plan : im2win;
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
  const inputRowsFor = (rows: number) => (rows - 1) * geometry.strideHeight + filterHeight;
  const bytesFor = (rows: number, group: number) =>
    columnBytes + inputRowsFor(rows) * inputRowBytes + rows * group * productRowBytes;
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
    packing: `${filterName(geometry)} winograd ${points} stride ${strideWidth} panels ${tile.nr}`,
    panelBytes: valueBytes * points * depth * panels * tile.nr,
  };
}

/** The plan for plain im2win, whatever else could compute the convolution. */
function planIm2win(geometry: ConvGeometry, {tile, valueBytes, readsInPlace}: Target): Im2winPlan {
  const strip = stripLayout(geometry, readsInPlace);
  const rowBytes = valueBytes * strip.windowRowStride;
  const rowsPerBlock = blockRows(geometry, rowBytes);
  return {
    algorithm: 'im2win',
    tile,
    strip,
    rowsPerBlock,
    stripBytes: strip.inPlace ? 0 : rowsPerBlock * rowBytes + OVERHANG_BYTES,
    packing: `${filterName(geometry)} panels ${tile.nr}`,
    panelBytes: valueBytes * strip.depth * Math.ceil(geometry.outChannels / tile.nr) * tile.nr,
  };
}

// Costs are in steps of a tile: one row of a panel times one value of each window.
// They were measured on the benchmark's layers, relative to such a step.
//
// What a tile costs beside its depth, and a segment of its windows.
const TILE_STEPS = 4;
const SEGMENT_STEPS = 2;
// What a float costs that is gathered, transformed, or read
// from a packed filter, which happens once a block.
const GATHER_STEPS = 1.5;
const TRANSFORM_STEPS = 5;
const TRAFFIC_STEPS = 3;

function tileSteps(segmentLength: number, segments: number): number {
  return segments * (segmentLength + SEGMENT_STEPS) + TILE_STEPS;
}

function im2winCost(geometry: ConvGeometry): number {
  const {filterHeight, filterWidth, strideWidth, inChannels, outHeight, outWidth} = geometry;
  const product = tileSteps(filterHeight * filterWidth * inChannels, 1) * wholePanels(geometry);
  const gathered = strideWidth * filterHeight * inChannels * GATHER_STEPS;
  return outHeight * outWidth * (product + gathered);
}

function winogradCost(geometry: ConvGeometry, {valueBytes, backSteps}: Target, plan: WinogradPlan): number {
  const {filterHeight, strideWidth, inChannels, outHeight} = geometry;
  const columnFloats = strideWidth * inChannels;
  const blocks = Math.ceil(outHeight / plan.rowsPerBlock);
  const products = outHeight * plan.tiles * plan.points;
  const product = (tileSteps(columnFloats, filterHeight) + backSteps) * wholePanels(geometry);
  const transforms = blocks * plan.inputRows * plan.tiles * plan.points * columnFloats * TRANSFORM_STEPS;
  const traffic = blocks * (plan.panelBytes / valueBytes) * TRAFFIC_STEPS;
  return products * product + transforms + traffic;
}

// Tensors of different shapes may share their data, and so its id.
function filterName({filterHeight, filterWidth, inChannels, outChannels}: ConvGeometry): string {
  return `${filterHeight}×${filterWidth}×${inChannels}×${outChannels}`;
}

/** Output channels, as the tiles compute them: in whole panels or halves of one. */
function wholePanels({outChannels}: ConvGeometry): number {
  return 4 * Math.ceil(outChannels / 4);
}

function blockRows(geometry: ConvGeometry, rowBytes: number): number {
  const all = geometry.batchSize * geometry.outHeight;
  const wanted = Math.max(Math.floor(BLOCK_BYTES / rowBytes), Math.ceil(BLOCK_WINDOWS / geometry.outWidth));
  const fitting = Math.floor(MAX_BLOCK_BYTES / rowBytes);
  return Math.max(1, Math.min(wanted, fitting, all));
}
