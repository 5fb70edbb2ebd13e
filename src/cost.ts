// What a plan is expected to cost, to choose between plans: its work, counted, times
// what each kind of work costs.
import type {ConvGeometry} from './geometry.ts';
import type {Flavour, Im2winPlan, WinogradPlan} from './plan.ts';

/** Kinds of work, counted in what the register tile does: four output channels at a time. */
export interface Work {
  /** One panel row of four channels times one window's value; the unit of all costs. */
  readonly steps: number;
  /** Sums of four channels that begin and end. */
  readonly sums: number;
  /** Runs of consecutive values in their windows. */
  readonly segments: number;
  /** Values gathered into strips or columns. */
  readonly gathered: number;
  /** Values that the input's transform writes. */
  readonly transformed: number;
  /** Products of four channels that are transformed back. */
  readonly products: number;
  /** Four bytes of the packed filter, which each block reads once. */
  readonly filter: number;
  /** The same of a packed filter that the second-level cache does not keep from block to block; twice if the third does not. */
  readonly farFilter: number;
}

// What caches may keep: the second level, and this thread's part of the third.
const NEAR_BYTES = 1024 * 1024;
const FAR_BYTES = 16 * 1024 * 1024;

// Fitted by `npm run bench:fit`, which prints them anew; see there.
const COSTS: Record<Flavour | 'cpu', Work> = {
  relaxed: {
    steps: 1,
    sums: 10,
    segments: 0.9,
    gathered: 2.4,
    transformed: 1.5,
    products: 9,
    filter: 0.01,
    farFilter: 0.8,
  },
  strict: {
    steps: 1,
    sums: 13,
    segments: 1.6,
    gathered: 1.2,
    transformed: 1.2,
    products: 4,
    filter: 0.01,
    farFilter: 0.8,
  },
  cpu: {
    steps: 1,
    sums: 31,
    segments: 1.9,
    gathered: 2.2,
    transformed: 0.01,
    products: 0.01,
    filter: 0.038,
    farFilter: 0.079,
  },
};

/** A plan's expected time, in steps. */
export function expectedCost(
  geometry: ConvGeometry,
  plan: Im2winPlan | WinogradPlan,
  target: Flavour | 'cpu',
): number {
  const work = workOf(geometry, plan);
  const costs = COSTS[target];
  return KINDS.reduce((cost, kind) => cost + work[kind] * costs[kind], 0);
}

export const KINDS = Object.keys(COSTS.relaxed) as (keyof Work)[];

export function workOf(geometry: ConvGeometry, plan: Im2winPlan | WinogradPlan): Work {
  return plan.algorithm === 'winograd' ? winogradWork(geometry, plan) : im2winWork(geometry, plan);
}

function im2winWork(geometry: ConvGeometry, plan: Im2winPlan): Work {
  const {batchSize, outHeight, outWidth, outChannels} = geometry;
  const vectors = Math.ceil(outChannels / 4);
  const rows = batchSize * outHeight;
  const blocks = Math.ceil(rows / plan.rowsPerBlock);
  const windows = (rows * outWidth) / blocks;
  return {
    steps: blocks * tileSteps(windows, plan) * plan.strip.depth * vectors,
    sums: blocks * windows * vectors,
    segments: blocks * windows * vectors * (plan.strip.inPlace ? geometry.filterHeight : 1),
    gathered: plan.strip.inPlace ? 0 : rows * plan.strip.phases * plan.strip.windowRowStride,
    transformed: 0,
    products: 0,
    ...filterWork(blocks, plan),
  };
}

function winogradWork(geometry: ConvGeometry, plan: WinogradPlan): Work {
  const {batchSize, outHeight, outChannels, filterHeight} = geometry;
  const {points, tiles, rowsPerBlock} = plan;
  const vectors = Math.ceil(outChannels / 4);
  const columnFloats = geometry.strideWidth * geometry.inChannels;
  const blocks = batchSize * Math.ceil(outHeight / rowsPerBlock);
  const windows = (batchSize * outHeight * tiles) / blocks;
  const products = blocks * points * windows * vectors;
  const inputRows = blocks * plan.inputRows;
  return {
    steps: blocks * points * tileSteps(windows, plan) * filterHeight * columnFloats * vectors,
    sums: products,
    segments: products * filterHeight,
    gathered: inputRows * plan.columns * geometry.inChannels,
    transformed: inputRows * points * tiles * columnFloats,
    products,
    ...filterWork(blocks, plan),
  };
}

function filterWork(blocks: number, {panelBytes}: Im2winPlan | WinogradPlan) {
  const filter = (blocks * panelBytes) / 4;
  const levels = panelBytes > FAR_BYTES ? 2 : panelBytes > NEAR_BYTES ? 1 : 0;
  return {filter, farFilter: levels * filter};
}

/** Windows as the tile computes them: the sums of a low one wait for each other. */
function tileSteps(windows: number, {tile}: Im2winPlan | WinogradPlan): number {
  return Math.max(windows, Math.ceil(windows / tile.mr) * tile.leastRows);
}
