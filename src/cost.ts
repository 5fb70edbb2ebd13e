// What a plan is expected to cost, to choose between plans: its work, counted, times
// what each kind of work costs.
import type {ConvGeometry} from './geometry.ts';
import type {Flavour, Im2winPlan, WinogradPlan} from './plan.ts';
import {blockValues} from './strip.ts';

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
    sums: 34,
    segments: 0.67,
    gathered: 0.72,
    transformed: 1.3,
    products: 1.7,
    filter: 0.01,
    farFilter: 0.54,
  },
  strict: {
    steps: 1,
    sums: 12,
    segments: 0.85,
    gathered: 1.3,
    transformed: 1.1,
    products: 1.7,
    filter: 0.01,
    farFilter: 0.53,
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
  const {source} = plan.strip;
  const parts = Math.ceil(outWidth / plan.pixelsPerStrip);
  return {
    steps: blocks * tileSteps(windows, plan) * plan.strip.depth * vectors,
    sums: blocks * windows * vectors,
    segments: blocks * windows * vectors * (source === 'strips' ? 1 : geometry.filterHeight),
    gathered:
      source === 'input'
        ? 0
        : blocks * parts * blockValues(plan.strip, geometry, plan.rowsPerBlock, plan.pixelsPerStrip),
    transformed: 0,
    products: 0,
    ...filterWork(blocks, plan),
  };
}

function winogradWork(geometry: ConvGeometry, plan: WinogradPlan): Work {
  const {batchSize, outHeight, outChannels} = geometry;
  const {rowOutputs, tiles, tilesPerPart} = plan;
  const vectors = Math.ceil(outChannels / 4);
  const columnFloats = geometry.strideWidth * geometry.inChannels;
  const nested = plan.rowPoints > 1;
  const points = plan.rowPoints * plan.points;
  const parts = Math.ceil(tiles / tilesPerPart);
  const rowBlocks = batchSize * Math.ceil(outHeight / plan.rowsPerBlock);
  const blocks = rowBlocks * parts;
  const windows = (batchSize * Math.ceil(outHeight / rowOutputs) * tiles) / blocks;
  const products = blocks * points * windows * vectors;
  const gathers = blocks * Math.ceil(tilesPerPart / plan.tilesPerGather);
  const gatheredRows = plan.inputRows * plan.rowPoints * (nested ? plan.rowPhases : 1);
  const depth = nested ? plan.rowPhases * columnFloats : columnFloats;
  return {
    steps: blocks * points * tileSteps(windows, plan) * plan.rowPhases * columnFloats * vectors,
    sums: products,
    segments: products * (nested ? 1 : plan.rowPhases),
    gathered: gathers * gatheredRows * plan.columns * geometry.inChannels * (nested ? 2 : 1),
    transformed: rowBlocks * plan.inputRows * points * tiles * depth,
    products: nested ? 2 * products : products,
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
