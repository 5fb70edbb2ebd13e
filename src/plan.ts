import {expectedCost} from './cost.ts';
import type {ConvGeometry} from './geometry.ts';
import {stockDefect} from './stock.ts';
import {type StripLayout, stripLayout, stripValues} from './strip.ts';

/** What a registration is asked to use. */
export type Algorithm = 'auto' | 'im2win' | 'winograd' | 'stock';

/** Plain SIMD128, or SIMD128 with relaxed (fused) multiply-add. */
export type Flavour = 'strict' | 'relaxed';

/** A register tile: MR windows by NR output channels. */
export interface Tile {
  readonly mr: number;
  readonly nr: number;
  /** A lower tile than this takes as long as one of so many windows. */
  readonly leastRows: number;
}

/** Where a convolution runs, and what a plan may not depend on otherwise. */
export type PlanContext = WasmContext | CpuContext;

/** What a registration was asked for. */
export interface PlanWishes {
  readonly algorithm: Algorithm;
  /** Whether Winograd may be used at all. */
  readonly winograd: boolean;
  /**
   * The bytes up to which a packed filter may be larger than the filter is. By
   * default 8 MiB, or twice the filter where that is more: tfjs's own kernel
   * keeps two copies.
   */
  readonly maxPackedFilterBytes?: number;
}

export interface WasmContext extends PlanWishes {
  readonly backend: 'wasm';
  readonly flavour: Flavour;
  /** The threads that tfjs's own kernels run on. */
  readonly threads: number;
  /** Why im2win cannot run at all on this backend instance, if so. */
  readonly unavailable?: string;
}

export interface CpuContext extends PlanWishes {
  readonly backend: 'cpu';
}

export interface Im2winPlan {
  readonly algorithm: 'im2win';
  readonly tile: Tile;
  readonly strip: StripLayout;
  /** Output rows whose strips are in the workspace at a time. */
  readonly rowsPerBlock: number;
  /** Output pixels of a strip: those of a row, or of a part of one that is very long. */
  readonly pixelsPerStrip: number;
  readonly stripBytes: number;
  /** Of a block of output pixels on its way to NCHW; 0 for NHWC. */
  readonly blockBytes: number;
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
  /** Of a block of output pixels on its way to NCHW; 0 for NHWC. */
  readonly blockBytes: number;
  readonly packing: string;
  readonly panelBytes: number;
}

/**
 * The gradient with respect to the input, and with it the transposed convolution:
 * for each phase of the strides a convolution of dy, whose outputs are every
 * stride-th row and column of the gradient.
 */
export interface TransposedPlan {
  readonly algorithm: 'transposed';
  readonly phases: readonly TransposedPhase[];
  /** Some rows or columns see no tap at all. */
  readonly zeros: boolean;
}

export interface TransposedPhase {
  readonly geometry: ConvGeometry;
  readonly plan: Im2winPlan | WinogradPlan;
  /** The first row and column of the gradient. */
  readonly row: number;
  readonly column: number;
  /**
   * The first taps that it sees; the next are a stride further. Several columns
   * side by side are outputs of one convolution, as if they were channels.
   */
  readonly tapRow: number;
  readonly tapColumns: readonly number[];
}

/** Output rows at a time where NCHW's rows are gathered first, and the bytes of both sides. */
export interface RowBlock {
  readonly rows: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Every other gradient, from its inputs where they lie, or from gathered rows of them. */
export interface GradientPlan {
  readonly algorithm: 'gradient';
  readonly block: RowBlock;
}

/** Each channel on its own, from the input and the filter where they lie. */
export interface DepthwisePlan {
  readonly algorithm: 'depthwise';
  readonly block: RowBlock;
  /** Of a block of output pixels on its way to NCHW. */
  readonly blockBytes: number;
}

export interface StockPlan {
  readonly algorithm: 'stock';
  readonly reason: string;
}

/** A convolution that is ours to compute. */
export type ConvPlan = Im2winPlan | WinogradPlan | DepthwisePlan;
/** What is ours to compute. */
export type OwnPlan = ConvPlan | TransposedPlan | GradientPlan;
export type Plan = OwnPlan | StockPlan;

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

function targetOf(context: PlanContext): Flavour | 'cpu' {
  return context.backend === 'cpu' ? 'cpu' : context.flavour;
}

// A block's strips are to stay in the second-level cache beside a panel; but a
// block of too few windows reads the whole filter again for too little work.
const BLOCK_BYTES = 64 * 1024;
const BLOCK_WINDOWS = 96;
const MAX_BLOCK_BYTES = 255 * 1024; // 256 KiB with the call's descriptors and alignment.
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

/**
 * Chooses how a convolution is computed: a pure function of its geometry and of
 * where it runs.
 */
export function planConv(geometry: ConvGeometry, context: PlanContext): Plan {
  if (context.backend === 'wasm') {
    if (stockDefect(geometry) !== undefined) return planOurs(geometry, context);
    if (context.unavailable !== undefined) {
      return {algorithm: 'stock', reason: context.unavailable};
    }
    // Stock has no channels-first.
    if (geometry.dataFormat === 'NCHW' && context.algorithm !== 'stock') return planOurs(geometry, context);
    if (context.algorithm === 'auto' && context.threads > 1) {
      return {algorithm: 'stock', reason: `tfjs runs on ${context.threads} threads, im2win on one`};
    }
  }
  if (context.algorithm === 'stock') {
    return {algorithm: 'stock', reason: "algorithm 'stock' was asked for"};
  }
  return planOurs(geometry, context);
}

/** The plan for a convolution that is ours to compute: the one expected to take least time. */
export function planOurs(geometry: ConvGeometry, context: PlanContext): ConvPlan {
  return geometry.channelMultiplier !== undefined ? planDepthwise(geometry) : planFull(geometry, context);
}

function planDepthwise(geometry: ConvGeometry): DepthwisePlan {
  const block = blockOfRows(geometry);
  return {algorithm: 'depthwise', block, blockBytes: block.outputBytes};
}

function blockOfRows(geometry: ConvGeometry): RowBlock {
  const {outHeight, outWidth, outChannels, inWidth, inChannels} = geometry;
  const blockOf = (rows: number): RowBlock => ({
    rows,
    inputBytes: 4 * inputRowsUnder(geometry, rows) * inWidth * inChannels,
    outputBytes: 4 * rows * outWidth * outChannels,
  });
  let block = blockOf(1);
  while (block.rows < outHeight) {
    const larger = blockOf(block.rows + 1);
    if (larger.inputBytes + larger.outputBytes > MAX_BLOCK_BYTES) break;
    block = larger;
  }
  return block;
}

/** Input rows that some output rows' windows span. */
function inputRowsUnder({strideHeight, filterHeight, dilationHeight}: ConvGeometry, rows: number): number {
  return (rows - 1) * strideHeight + (filterHeight - 1) * dilationHeight + 1;
}

function planFull(geometry: ConvGeometry, context: PlanContext): Im2winPlan | WinogradPlan {
  const [im2win, ...winograd] = candidatePlans(geometry, context);
  const wanted = {
    im2win: [im2win],
    winograd: winograd.length > 0 ? winograd : [im2win],
    auto: [im2win, ...winograd],
    stock: [im2win, ...winograd],
  }[context.algorithm];
  const target = targetOf(context);
  const cost = new Map(wanted.map((plan) => [plan, expectedCost(geometry, plan, target)]));
  return wanted.reduce((best, plan) => ((cost.get(plan) ?? 0) < (cost.get(best) ?? 0) ? plan : best));
}

/** The plan for a gradient of the convolution that a geometry describes. */
export function planGradient(
  geometry: ConvGeometry,
  of: 'input' | 'filter',
  context: PlanContext,
): TransposedPlan | GradientPlan {
  return of === 'input' && geometry.channelMultiplier === undefined
    ? planTransposed(geometry, context)
    : {algorithm: 'gradient', block: blockOfRows(geometry)};
}

function planTransposed(geometry: ConvGeometry, context: PlanContext): TransposedPlan {
  const {inHeight, inWidth, filterHeight, filterWidth, strideHeight, strideWidth, batchSize} = geometry;
  const phases: TransposedPhase[] = [];
  const rows = phasesOf(inHeight, filterHeight, strideHeight, geometry.padTop);
  const columns = phasesOf(inWidth, filterWidth, strideWidth, geometry.padLeft);
  // Columns that see the same part of dy are computed together.
  const together =
    inWidth % strideWidth === 0 &&
    columns.every(({taps, before}) => taps === columns[0].taps && before === columns[0].before);
  const groups = together && columns.length > 0 ? [columns] : columns.map((column) => [column]);
  for (const row of rows) {
    for (const group of groups) {
      const [column] = group;
      if (row.taps === 0 || column.taps === 0) continue;
      const outChannels = group.length * geometry.inChannels;
      const phase: ConvGeometry = {
        dataFormat: 'NHWC',
        batchSize,
        inHeight: geometry.outHeight,
        inWidth: geometry.outWidth,
        inChannels: geometry.outChannels,
        outHeight: row.size,
        outWidth: column.size,
        outChannels,
        filterHeight: row.taps,
        filterWidth: column.taps,
        strideHeight: 1,
        strideWidth: 1,
        dilationHeight: 1,
        dilationWidth: 1,
        padTop: row.before,
        padBottom: row.size + row.taps - 1 - geometry.outHeight - row.before,
        padLeft: column.before,
        padRight: column.size + column.taps - 1 - geometry.outWidth - column.before,
        padType: 'EXPLICIT',
        outShape: [batchSize, row.size, column.size, outChannels],
      };
      phases.push({
        geometry: phase,
        plan: planFull(phase, context),
        row: row.first,
        column: column.first,
        tapRow: row.firstTap,
        tapColumns: group.map(({firstTap}) => firstTap),
      });
    }
  }
  return {algorithm: 'transposed', phases, zeros: [...rows, ...columns].some(({taps}) => taps === 0)};
}

function phasesOf(input: number, filter: number, stride: number, pad: number) {
  return Array.from({length: Math.min(stride, input)}, (_, first) =>
    phaseOf(first, input, filter, stride, pad),
  );
}

/**
 * One side of a phase: input positions first, first + stride, … see the taps
 * firstTap, firstTap + stride, …, the last of them first.
 */
function phaseOf(first: number, input: number, filter: number, stride: number, pad: number) {
  const padded = first + pad;
  const firstTap = ((padded % stride) + stride) % stride;
  const taps = Math.max(0, Math.ceil((filter - firstTap) / stride));
  return {
    first,
    size: Math.ceil((input - first) / stride),
    firstTap,
    taps,
    before: taps - 1 - (padded - firstTap) / stride,
  };
}

/** Every plan that may be chosen, plain im2win first. */
export function candidatePlans(
  geometry: ConvGeometry,
  context: PlanContext,
): [Im2winPlan, ...WinogradPlan[]] {
  const target = TARGETS[targetOf(context)];
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
  const inputRowsFor = (rows: number) => (rows - 1) * geometry.strideHeight + filterHeight;
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
