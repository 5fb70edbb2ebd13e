import type {ConvGeometry} from './geometry.ts';
import {stockDefect} from './stock.ts';
import {type StripLayout, stripLayout} from './strip.ts';

/** What a registration is asked to use. */
export type Algorithm = 'auto' | 'im2win' | 'stock';

/** Plain SIMD128, or SIMD128 with relaxed (fused) multiply-add. */
export type Flavour = 'strict' | 'relaxed';

/** A register tile: MR windows by NR output channels. */
export interface Tile {
  readonly mr: number;
  readonly nr: number;
}

/** Where a convolution runs, and what a plan may not depend on otherwise. */
export interface PlanContext {
  readonly algorithm: Algorithm;
  readonly flavour: Flavour;
  /** The threads that tfjs's own kernels run on. */
  readonly threads: number;
  /** Why im2win cannot run at all on this backend instance, if so. */
  readonly unavailable?: string;
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

export interface StockPlan {
  readonly algorithm: 'stock';
  readonly reason: string;
}

export type Plan = Im2winPlan | StockPlan;

// The 6×8 tile needs twelve accumulators, two vectors of the panel and one of
// the input: the fifteen registers that V8 leaves on x86. A product that is not
// fused takes one more, hence five rows.
const TILES: Record<Flavour, Tile> = {
  relaxed: {mr: 6, nr: 8},
  strict: {mr: 5, nr: 8},
};

// A block's strips are to stay in the second-level cache beside a panel; but a
// block of too few windows reads the whole filter again for too little work.
const BLOCK_BYTES = 64 * 1024;
const BLOCK_WINDOWS = 96;
const MAX_BLOCK_BYTES = 256 * 1024;

/**
 * Chooses how a convolution is computed: a pure function of its geometry and of
 * where it runs.
 */
export function planConv(geometry: ConvGeometry, context: PlanContext): Plan {
  if (geometry.dataFormat !== 'NHWC') {
    return {algorithm: 'stock', reason: `data format ${geometry.dataFormat}`};
  }
  if (stockDefect(geometry) === undefined) {
    if (context.unavailable !== undefined) {
      return {algorithm: 'stock', reason: context.unavailable};
    }
    if (context.algorithm === 'stock') {
      return {algorithm: 'stock', reason: "algorithm 'stock' was asked for"};
    }
    if (context.algorithm === 'auto' && context.threads > 1) {
      return {algorithm: 'stock', reason: `tfjs runs on ${context.threads} threads, im2win on one`};
    }
  }
  return planIm2win(geometry, context.flavour);
}

/** The plan for im2win, whatever else could compute the convolution. */
export function planIm2win(geometry: ConvGeometry, flavour: Flavour): Im2winPlan {
  const strip = stripLayout(geometry);
  const tile = TILES[flavour];
  const rowBytes = 4 * strip.windowRowStride;
  const rowsPerBlock = blockRows(geometry, rowBytes);
  return {
    algorithm: 'im2win',
    tile,
    strip,
    rowsPerBlock,
    stripBytes: strip.inPlace ? 0 : rowsPerBlock * rowBytes,
    packing: `panels ${tile.nr}`,
    panelBytes: 4 * strip.depth * Math.ceil(geometry.outChannels / tile.nr) * tile.nr,
  };
}

function blockRows(geometry: ConvGeometry, rowBytes: number): number {
  const all = geometry.batchSize * geometry.outHeight;
  const wanted = Math.max(Math.floor(BLOCK_BYTES / rowBytes), Math.ceil(BLOCK_WINDOWS / geometry.outWidth));
  const fitting = Math.floor(MAX_BLOCK_BYTES / rowBytes);
  return Math.max(1, Math.min(wanted, fitting, all));
}
