// How a convolution's work is shared out: tasks, each of which computes a part of the output that no other
// touches. A block is sized for caches, a task so that several threads have something to do.
import {takesFewWindows} from './candidates.ts';
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
  /** Tasks that share out a block's panels. */
  readonly panelTasks: number;
  readonly channelsPerTask: number;
  /** All of them. */
  readonly count: number;
  /** What is gathered for all threads, in bytes. */
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
  const {rowsPerGather, gatherTasks, ...panels} = shares(geometry, plan, rows, wanted / blocks);
  const planes = geometry.dataFormat === 'NCHW';
  const gathered = aligned(bytesGathered(plan));
  return {
    ...rows,
    ...panels,
    gatherTasks,
    rowsPerGather,
    count: blocks * (gatherTasks + options.repeats * panels.panelTasks),
    sharedBytes: gatherTasks > 0 ? gathered : 0,
    columnBytes: plan.algorithm === 'winograd' ? aligned(plan.columnBytes) : 0,
    gatheredBytes: gathered,
    productBytes: plan.algorithm === 'winograd' ? aligned(plan.productBytes) : 0,
    pixelBytes:
      planes && plan.blockBytes > 0
        ? aligned(4 * rows.rowsPerBlock * outWidth * Math.min(outChannels, panels.channelsPerTask))
        : 0,
  };
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
 * Shares out a block's panels where there are fewer blocks than tasks are wanted. If the block's rows are
 * gathered, tasks of their own do so before.
 *
 * @param perBlock Tasks wanted of a block.
 */
function shares(geometry: ConvGeometry, plan: ConvPlan, rows: Rows, perBlock: number) {
  const none = {gatherTasks: 0, rowsPerGather: 0};
  if (plan.algorithm === 'depthwise') return {...none, panelTasks: 1, channelsPerTask: geometry.outChannels};
  const {nr} = plan.target.tile;
  const panels = Math.ceil(geometry.outChannels / nr);
  const few =
    plan.algorithm === 'im2win' && takesFewWindows(plan.target, plan.strip.depth, geometry.outChannels);
  const wanted = few || rows.stripsPerBlock > 1 ? 1 : Math.ceil(perBlock);
  const group = plan.algorithm === 'winograd' ? plan.group : 1;
  const panelsPerTask = Math.min(panels, Math.ceil(Math.ceil(panels / wanted) / group) * group);
  const panelTasks = Math.ceil(panels / panelsPerTask);
  const channelsPerTask = panelsPerTask * nr;
  if (panelTasks === 1 || (plan.algorithm === 'im2win' && plan.strip.source === 'input')) {
    return {...none, panelTasks, channelsPerTask};
  }
  const count = gatheredRows(geometry, plan, rows.rowsPerBlock);
  const rowsPerGather = Math.ceil(count / gathersOf(geometry, plan, count));
  return {gatherTasks: Math.ceil(count / rowsPerGather), rowsPerGather, panelTasks, channelsPerTask};
}

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
