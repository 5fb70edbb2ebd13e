// How a convolution's work is shared out: tasks, each of which computes a part of the output that no other
// touches. A block is sized for caches, a task so that several threads have something to do.
import {takesFewWindows} from './candidates.ts';
import {expectedCost} from './cost.ts';
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {ConvPlan, Im2winPlan, WinogradPlan} from './plan.ts';

/** What a convolution's tasks may be. A pure function of the convolution and its plan: `shareOut` makes tasks of it. */
export interface ConvTasks {
  /** Images, and output rows of each: one of all rows where they go on from image to image. */
  readonly images: number;
  readonly rowsPerImage: number;
  readonly rowsPerBlock: number;
  readonly rowBlocks: number;
  /** Output pixels of a strip; strips of a phase of the dilation, of an output row, and of a block. */
  readonly pixelsPerStrip: number;
  readonly stripsPerPhase: number;
  readonly strips: number;
  readonly stripsPerBlock: number;
  /** All of them. */
  readonly blocks: number;
  /** Of a block that is shared out: tasks that gather it, 0 where those that multiply do so themselves. */
  readonly gatherTasks: number;
  readonly rowsPerGather: number;
  /** Tasks that share out a block's panels, and those that multiply a block: as many for each repeat. */
  readonly panelTasks: number;
  readonly channelsPerTask: number;
  readonly multiplyTasks: number;
  /** What all of them are expected to take, in steps. */
  readonly cost: number;
  /** A thread's scratch behind its call descriptors, in bytes: columns, a gathered block, products, pixels. */
  readonly columnBytes: number;
  readonly gatheredBytes: number;
  readonly productBytes: number;
  readonly pixelBytes: number;
}

/** A job's tasks for so many threads, numbered as kernels/conv.cpp has it. */
export interface SharedOut {
  /** Blocks that are a task each, the first ones. The others are shared out: gathered in one stage, multiplied in the next. */
  readonly wholeBlocks: number;
  /** Each from its first task to its last, less one. */
  readonly stages: readonly (readonly [first: number, last: number])[];
  readonly count: number;
  /** What a thread's scratch has room for to gather a block, in bytes; and what is gathered for all threads. */
  readonly ownBytes: number;
  readonly sharedBytes: number;
}

/** What the tasks depend on beside geometry and plan. */
export interface TaskOptions {
  /** Whether bias, slopes and output pixels go on from image to image as if they were one image's. */
  readonly imagesGoOn: boolean;
  /** Convolutions that differ in filter and place alone. */
  readonly repeats: number;
}

/** A step multiplies one value by four, and adds. */
export const FLOPS_PER_STEP = 8;

const LINE = 64;
const aligned = (bytes: number) => Math.ceil(bytes / LINE) * LINE;

export function convTasks(geometry: ConvGeometry, plan: ConvPlan, options: TaskOptions): ConvTasks {
  const {batchSize, outHeight, outWidth, outChannels, filterHeight, filterWidth} = geometry;
  const {target} = plan;
  const depthwise = plan.algorithm === 'depthwise';
  const depth = filterHeight * filterWidth * (depthwise ? 1 : geometry.inChannels);
  const work = 2 * batchSize * outHeight * outWidth * outChannels * depth * options.repeats;
  const kind = depthwise ? 'depthwise' : 'full';
  const wanted = Math.max(1, Math.min(target.tasks[kind], Math.floor(work / target.leastWork[kind])));
  const rows = rowsOf(geometry, plan, options, wanted);
  const blocks = rows.images * rows.rowBlocks * (rows.strips / rows.stripsPerBlock);
  const shares = sharesOf(geometry, plan, rows, {blocks, wanted});
  const planes = geometry.dataFormat === 'NCHW';
  return {
    ...rows,
    blocks,
    ...shares,
    multiplyTasks: options.repeats * shares.panelTasks,
    // A depthwise one waits for memory, and takes twice as long for its work.
    cost:
      plan.algorithm === 'depthwise'
        ? work / FLOPS_PER_STEP / (target.leastWork.depthwise / target.leastWork.full)
        : options.repeats * expectedCost(geometry, plan),
    columnBytes: plan.algorithm === 'winograd' ? aligned(plan.columnBytes) : 0,
    gatheredBytes: aligned(bytesGathered(plan)),
    productBytes: plan.algorithm === 'winograd' ? aligned(plan.productBytes) : 0,
    // One thread takes all channels of a block.
    pixelBytes: planes && plan.blockBytes > 0 ? aligned(4 * rows.rowsPerBlock * outWidth * outChannels) : 0,
  };
}

/**
 * Shares a job out to threads. As many blocks are a task each as can be shared out evenly, since a thread that gathers
 * a block has it in its cache; the rest are computed by all threads together. The result has the same bits.
 */
export function shareOut(tasks: ConvTasks, threads: number): SharedOut {
  const {blocks, rowBlocks, rowsPerImage, rowsPerBlock, gatherTasks, multiplyTasks, gatheredBytes} = tasks;
  // The last block of an image may have fewer rows.
  const full = (blocks / rowBlocks) * (rowsPerImage / rowsPerBlock);
  const even = full >= EVEN * Math.ceil(blocks / threads) * threads;
  const wholeBlocks =
    threads === 1 || multiplyTasks === 1 || even ? blocks : Math.floor(Math.floor(full) / threads) * threads;
  const rest = blocks - wholeBlocks;
  const gathered = wholeBlocks + rest * gatherTasks;
  const count = gathered + rest * multiplyTasks;
  const stages: [number, number][] =
    rest === 0 || gatherTasks === 0
      ? [[0, count]]
      : [
          [0, gathered],
          [gathered, count],
        ];
  return {
    wholeBlocks,
    stages,
    count,
    ownBytes: wholeBlocks > 0 || gatherTasks === 0 ? gatheredBytes : 0,
    sharedBytes: gatherTasks > 0 ? rest * gatheredBytes : 0,
  };
}

/** The share of the threads' time that blocks have to fill. */
const EVEN = 0.94;

/** The bytes of a thread's scratch behind its call descriptors. */
export function scratchBytes({columnBytes, productBytes, pixelBytes}: ConvTasks, ownBytes: number): number {
  return columnBytes + ownBytes + productBytes + pixelBytes;
}

type Rows = Pick<
  ConvTasks,
  | 'images'
  | 'rowsPerImage'
  | 'rowsPerBlock'
  | 'rowBlocks'
  | 'pixelsPerStrip'
  | 'stripsPerPhase'
  | 'strips'
  | 'stripsPerBlock'
>;

/** The plan's blocks; or smaller ones, where nothing is gathered, and the filter is not read anew for each block. */
function rowsOf(geometry: ConvGeometry, plan: ConvPlan, options: TaskOptions, wanted: number): Rows {
  const {batchSize, outHeight, outWidth} = geometry;
  const planes = geometry.dataFormat === 'NCHW';
  const rowsWith = (
    images: number,
    rowsPerImage: number,
    rowsPerBlock: number,
    pixelsPerStrip: number,
    strips: number,
    stripsPerPhase = strips,
  ): Rows => ({
    images,
    rowsPerImage,
    rowsPerBlock,
    rowBlocks: Math.ceil(rowsPerImage / rowsPerBlock),
    pixelsPerStrip,
    stripsPerPhase,
    strips,
    // Pixels go to planes a row at a time.
    stripsPerBlock: planes ? strips : 1,
  });
  if (plan.algorithm === 'depthwise') {
    const share = Math.ceil(outHeight / Math.ceil(wanted / batchSize));
    return rowsWith(batchSize, outHeight, Math.min(plan.block.rows, share), outWidth, 1);
  }
  if (plan.algorithm === 'winograd') {
    const parts = Math.ceil(plan.tiles / plan.tilesPerPart);
    return rowsWith(batchSize, outHeight, plan.rowsPerBlock, outWidth, parts);
  }
  const {source, phases} = plan.strip;
  const rowsGoOn =
    source === 'strips' || (source === 'input' && geometry.inHeight === outHeight * geometry.strideHeight);
  const merged = rowsGoOn && options.imagesGoOn && !planes;
  const images = merged ? 1 : batchSize;
  const rowsPerImage = merged ? batchSize * outHeight : outHeight;
  const stripsPerPhase = Math.ceil(Math.ceil(outWidth / phases) / plan.pixelsPerStrip);
  if (source !== 'input' || !takesFewWindows(plan.target, plan.strip.depth, geometry.outChannels)) {
    const strips = stripsPerPhase * Math.min(phases, outWidth);
    return rowsWith(images, rowsPerImage, plan.rowsPerBlock, plan.pixelsPerStrip, strips, stripsPerPhase);
  }
  // A small filter is read anew for a few windows in any case.
  const perImage = Math.ceil(wanted / images);
  const rowsPerBlock = Math.min(plan.rowsPerBlock, Math.ceil(rowsPerImage / perImage));
  const parts = Math.max(1, Math.floor(perImage / Math.ceil(rowsPerImage / rowsPerBlock)));
  const pixelsPerStrip = parts > 1 ? Math.ceil(outWidth / parts) : outWidth;
  return rowsWith(images, rowsPerImage, rowsPerBlock, pixelsPerStrip, Math.ceil(outWidth / pixelsPerStrip));
}

/** How a block may be shared out: into tasks that gather it, and tasks that multiply its panels. */
function sharesOf(
  geometry: ConvGeometry,
  plan: ConvPlan,
  rows: Rows,
  {blocks, wanted}: {blocks: number; wanted: number},
) {
  const none = {gatherTasks: 0, rowsPerGather: 0};
  if (plan.algorithm === 'depthwise') return {...none, panelTasks: 1, channelsPerTask: geometry.outChannels};
  const {target} = plan;
  const {nr} = target.tile;
  const panels = Math.ceil(geometry.outChannels / nr);
  const few = plan.algorithm === 'im2win' && takesFewWindows(target, plan.strip.depth, geometry.outChannels);
  const enough = few || rows.stripsPerBlock > 1 || blocks >= ENOUGH_BLOCKS;
  const perBlock = enough ? 1 : Math.ceil(wanted / Math.min(blocks, SHARED_BLOCKS));
  const group = plan.algorithm === 'winograd' ? plan.group : 1;
  const panelsPerTask = Math.min(panels, Math.ceil(Math.ceil(panels / perBlock) / group) * group);
  const panelTasks = Math.ceil(panels / panelsPerTask);
  const channelsPerTask = panelsPerTask * nr;
  if (panelTasks === 1 || (plan.algorithm === 'im2win' && plan.strip.source === 'input')) {
    return {...none, panelTasks, channelsPerTask};
  }
  const count = gatheredRows(geometry, plan, rows.rowsPerBlock);
  const rowsPerGather = Math.ceil(count / gathersOf(geometry, plan, count));
  return {gatherTasks: Math.ceil(count / rowsPerGather), rowsPerGather, panelTasks, channelsPerTask};
}

/** As many blocks as fill the time of up to eight threads well. */
const ENOUGH_BLOCKS = 24;
/** Blocks of which each is shared out into fewer tasks than one alone would be. */
const SHARED_BLOCKS = 4;

/** Rows that a block gathers: strips, input rows, or groups of transformed ones. */
function gatheredRows(geometry: ConvGeometry, plan: Im2winPlan | WinogradPlan, rows: number): number {
  if (plan.algorithm === 'winograd') return plan.inputRows;
  return plan.strip.source === 'strips' ? rows : inputRowsUnder(geometry, rows);
}

function gathersOf({inChannels}: ConvGeometry, plan: Im2winPlan | WinogradPlan, count: number): number {
  // kernels/strip.h may write over the beginning of the next strip.
  if (plan.algorithm === 'im2win' && inChannels < 4) return 1;
  return Math.min(count, plan.target.gatherTasks);
}

function bytesGathered(plan: ConvPlan): number {
  if (plan.algorithm === 'depthwise') return plan.block.inputBytes;
  return plan.algorithm === 'winograd' ? plan.inputRows * plan.inputRowBytes : plan.stripBytes;
}
