// How a convolution's work is shared out: tasks, each of which computes a part of the output that no other
// touches. A block is sized for caches, a task so that several threads have something to do.
import {takesFewWindows} from './candidates.ts';
import {expectedCost} from './cost.ts';
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {ConvPlan, Im2winPlan, WinogradPlan} from './plan.ts';

/** How a job's tasks are numbered and what each is: block by block, as kernels/conv.cpp has it. */
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
  /** Tasks that gather a block for all threads; 0 where each task gathers its own. */
  readonly gatherTasks: number;
  readonly rowsPerGather: number;
  /** Blocks that several threads gather before they multiply them; one thread does so block by block. */
  readonly blocksTogether: number;
  /** Tasks that share out a block's panels. */
  readonly panelTasks: number;
  readonly channelsPerTask: number;
  /** All of them. */
  readonly count: number;
  /** Those that may run at the same time. */
  readonly perStage: number;
  /** What all of them are expected to take, in steps. */
  readonly cost: number;
  /** What is gathered of a block for all threads, in bytes. */
  readonly sharedBytes: number;
  /** A thread's scratch behind its call descriptors, in bytes: columns, gathered rows, products, pixels. */
  readonly columnBytes: number;
  readonly gatheredBytes: number;
  readonly productBytes: number;
  readonly pixelBytes: number;
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

/** The tasks of a planned convolution: a pure function of what it is, not of the threads that there are. */
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
  const {gatherTasks, ...others} = shares(geometry, plan, rows, {blocks, wanted});
  const planes = geometry.dataFormat === 'NCHW';
  const gathered = aligned(bytesGathered(plan));
  const multiplies = options.repeats * others.panelTasks;
  return {
    ...rows,
    ...others,
    gatherTasks,
    count: blocks * (gatherTasks + multiplies),
    // A depthwise one waits for memory, and takes twice as long for its work.
    cost:
      plan.algorithm === 'depthwise'
        ? work / FLOPS_PER_STEP / (target.leastWork.depthwise / target.leastWork.full)
        : options.repeats * expectedCost(geometry, plan),
    perStage: multiplies * (gatherTasks > 0 ? others.blocksTogether : blocks),
    sharedBytes: gatherTasks > 0 ? gathered : 0,
    columnBytes: plan.algorithm === 'winograd' ? aligned(plan.columnBytes) : 0,
    gatheredBytes: gathered,
    productBytes: plan.algorithm === 'winograd' ? aligned(plan.productBytes) : 0,
    pixelBytes:
      planes && plan.blockBytes > 0
        ? aligned(4 * rows.rowsPerBlock * outWidth * Math.min(outChannels, others.channelsPerTask))
        : 0,
  };
}

/** The stages of a job on several threads, each from its first task to its last, less one. */
export function stagesOf(tasks: ConvTasks): [first: number, last: number][] {
  const {count, gatherTasks, blocksTogether, images, rowBlocks, strips, stripsPerBlock} = tasks;
  if (gatherTasks === 0) return [[0, count]];
  const blocks = images * rowBlocks * (strips / stripsPerBlock);
  const perBlock = count / blocks;
  const stages: [number, number][] = [];
  for (let block = 0; block < blocks; block += blocksTogether) {
    const some = Math.min(blocksTogether, blocks - block);
    const first = block * perBlock;
    const multiplies = first + some * gatherTasks;
    stages.push([first, multiplies], [multiplies, first + some * perBlock]);
  }
  return stages;
}

/** The bytes of a thread's scratch behind its call descriptors. */
export function scratchBytes(tasks: ConvTasks): number {
  const {columnBytes, gatherTasks, gatheredBytes, productBytes, pixelBytes} = tasks;
  return columnBytes + (gatherTasks > 0 ? 0 : gatheredBytes) + productBytes + pixelBytes;
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

/**
 * Shares out a block's panels where there are clearly fewer blocks than tasks are wanted. If the block's rows are
 * gathered, tasks of their own do so in a stage before.
 */
function shares(
  geometry: ConvGeometry,
  plan: ConvPlan,
  rows: Rows,
  {blocks, wanted}: {blocks: number; wanted: number},
) {
  const none = {gatherTasks: 0, rowsPerGather: 0, blocksTogether: 1};
  if (plan.algorithm === 'depthwise') return {...none, panelTasks: 1, channelsPerTask: geometry.outChannels};
  const {target} = plan;
  const {nr} = target.tile;
  const panels = Math.ceil(geometry.outChannels / nr);
  const few = plan.algorithm === 'im2win' && takesFewWindows(target, plan.strip.depth, geometry.outChannels);
  const enough = few || rows.stripsPerBlock > 1 || blocks >= ENOUGH * wanted;
  const group = plan.algorithm === 'winograd' ? plan.group : 1;
  const perTask = enough ? panels : Math.ceil(panels / Math.ceil(wanted / blocks));
  const panelsPerTask = Math.min(panels, Math.ceil(perTask / group) * group);
  const panelTasks = Math.ceil(panels / panelsPerTask);
  const channelsPerTask = panelsPerTask * nr;
  if (panelTasks === 1 || (plan.algorithm === 'im2win' && plan.strip.source === 'input')) {
    return {...none, panelTasks, channelsPerTask};
  }
  const most = Math.max(1, Math.floor(target.togetherBytes / aligned(bytesGathered(plan))));
  const blocksTogether = Math.ceil(blocks / Math.ceil(blocks / most));
  const count = gatheredRows(geometry, plan, rows.rowsPerBlock);
  const gathers = gathersOf(geometry, plan, count, Math.ceil(target.gatherTasks / blocksTogether));
  const rowsPerGather = Math.ceil(count / gathers);
  const gatherTasks = Math.ceil(count / rowsPerGather);
  return {gatherTasks, rowsPerGather, blocksTogether, panelTasks, channelsPerTask};
}

/** The share of the tasks wanted from which on there are enough: eight threads have three each. */
const ENOUGH = 0.75;

/** Rows that a block gathers: strips, input rows, or groups of transformed ones. */
function gatheredRows(geometry: ConvGeometry, plan: Im2winPlan | WinogradPlan, rows: number): number {
  if (plan.algorithm === 'winograd') return plan.inputRows;
  return plan.strip.source === 'strips' ? rows : inputRowsUnder(geometry, rows);
}

function gathersOf(
  {inChannels}: ConvGeometry,
  plan: Im2winPlan | WinogradPlan,
  count: number,
  wanted: number,
): number {
  // kernels/strip.h may write over the beginning of the next strip.
  if (plan.algorithm === 'im2win' && inChannels < 4) return 1;
  return Math.min(count, wanted);
}

function bytesGathered(plan: ConvPlan): number {
  if (plan.algorithm === 'depthwise') return plan.block.inputBytes;
  return plan.algorithm === 'winograd' ? plan.inputRows * plan.inputRowBytes : plan.stripBytes;
}
