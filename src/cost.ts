// What a plan is expected to cost, to choose between plans: its work, counted, times
// what each kind of work costs.
import type {ConvGeometry} from './geometry.ts';
import type {Im2winPlan, WinogradForm, WinogradPlan} from './plan.ts';
import {blockValues} from './strip.ts';
import {TARGETS, type Target} from './targets.generated.ts';

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
  /** Products of four channels that are transformed back along the height. */
  readonly rowProducts: number;
  /** The same along the width. */
  readonly products: number;
  /** Products of four channels that are made together and transformed back in registers. */
  readonly shallow: number;
  /** Four bytes of the packed filter, which each block reads once. */
  readonly filter: number;
  /** Those of a packed filter that the second-level cache does not keep from block to block; counted twice if the third does not either. */
  readonly farFilter: number;
  /** Those of a packed filter that each call packs. */
  readonly packed: number;
}

/** A plan's expected time, in steps. */
export function expectedCost(geometry: ConvGeometry, plan: Im2winPlan | WinogradPlan): number {
  const work = workOf(geometry, plan);
  const {costs} = plan.target;
  return KINDS.reduce((cost, kind) => cost + work[kind] * costs[kind], 0);
}

export const KINDS = /* @__PURE__ */ Object.keys(TARGETS.cpu.costs) as (keyof Work)[];

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
    rowProducts: 0,
    products: 0,
    shallow: 0,
    ...filterWork(blocks, plan),
  };
}

function winogradWork(geometry: ConvGeometry, plan: WinogradPlan): Work {
  const {batchSize, outHeight, outChannels} = geometry;
  const {rowOutputs, tiles, tilesPerPart, shallow} = plan;
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
    sums: shallow ? 0 : products,
    segments: shallow ? 0 : products * (nested ? 1 : plan.rowPhases),
    gathered: gathers * gatheredRows * plan.columns * geometry.inChannels * (nested ? 2 : 1),
    transformed:
      rowBlocks * plan.inputRows * points * tiles * (depth / columnFloats) * vectorValues(columnFloats),
    rowProducts: nested ? products : 0,
    products: shallow ? 0 : (products * rowOutputs) / plan.rowPoints,
    shallow: shallow ? products : 0,
    ...filterWork(blocks, plan),
  };
}

/** What a form's plans take at least, in steps, however they are cut into blocks. */
export function leastCost(geometry: ConvGeometry, form: WinogradForm, {costs}: Target): number {
  const {batchSize, outHeight, outWidth, strideHeight, strideWidth, inChannels} = geometry;
  const {points, outputs, rowPoints, rowOutputs, rowPhases, shallow} = form;
  const nested = rowPoints > 1;
  const columnFloats = strideWidth * inChannels;
  const tiles = batchSize * Math.ceil(outWidth / outputs);
  const groups = Math.ceil(outHeight / rowOutputs);
  const products = rowPoints * points * groups * tiles * Math.ceil(geometry.outChannels / 4);
  // Rows that are transformed: of blocks that share none, too.
  const rows = nested ? groups * rowPhases : outHeight * Math.min(strideHeight, geometry.filterHeight);
  return (
    products *
      (rowPhases * columnFloats * costs.steps +
        (shallow
          ? costs.shallow
          : costs.sums +
            (nested ? 1 : rowPhases) * costs.segments +
            (nested ? costs.rowProducts : 0) +
            (rowOutputs / rowPoints) * costs.products)) +
    rows * tiles * rowPoints * points * vectorValues(columnFloats) * costs.transformed +
    rows * tiles * rowPoints * outputs * columnFloats * (nested ? 2 : 1) * costs.gathered
  );
}

/** A last vector that is not full is read and written value by value. */
function vectorValues(values: number): number {
  const tail = values % 4;
  return values - tail + (tail === 0 ? 0 : 3 * 4);
}

function filterWork(blocks: number, {target, panelBytes, repacks}: Im2winPlan | WinogradPlan) {
  const filter = (blocks * panelBytes) / 4;
  const levels = panelBytes > target.farBytes ? 2 : panelBytes > target.nearBytes ? 1 : 0;
  return {filter, farFilter: levels * filter, packed: repacks ? panelBytes / 4 : 0};
}

/** Windows, counted by the time that tiles take. A low tile takes as long as a higher one, as its sums wait for each other. */
function tileSteps(windows: number, {target: {tile}}: Im2winPlan | WinogradPlan): number {
  return Math.max(windows, Math.ceil(windows / tile.mr) * tile.leastRows);
}
