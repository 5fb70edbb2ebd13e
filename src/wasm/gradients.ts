import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {ConvGeometry} from '../geometry.ts';
import {floatBytes} from '../limits.ts';
import type {GradientPlan, PhaseGroup, TransposedPlan} from '../plan.ts';
import {FLOPS_PER_STEP} from '../tasks.ts';
import {runConvTasks} from './conv2d.ts';
import {aligned, type Heap} from './heap.ts';
import {ConvJob, Job} from './job.ts';
import type {WasmState} from './state.ts';
import {dataOffset, makeOutput} from './tensors.ts';

// Gradients see a fresh filter each step, so that packed filters are scratch.

/** The job of a group of phases, whose outputs are a stride apart. */
export function phaseJob(heap: Heap, offset: number, {geometry}: TransposedPlan, group: PhaseGroup): ConvJob {
  const {inHeight, inWidth, inChannels, strideHeight, strideWidth} = geometry;
  const {row, column} = group;
  return new ConvJob(heap, offset, {
    // Channels first: image after image, each to its planes.
    geometry: group.geometry.dataFormat === 'NCHW' ? {...group.geometry, batchSize: 1} : group.geometry,
    plan: group.plan,
    activation: 'linear',
    output: {
      image: inHeight * inWidth * inChannels,
      row: strideHeight * inWidth * inChannels,
      pixel: strideWidth * inChannels,
    },
    repeats: {count: row.count, outputFloats: inWidth * inChannels},
    flip: {
      filterWidth: geometry.filterWidth,
      inChannels,
      firstRow: row.firstTap,
      firstColumn: column.firstTap,
      rowStep: strideHeight,
      columnStep: strideWidth,
    },
  });
}

/**
 * The gradient of a convolution with respect to its input, and the transposed
 * convolution: a convolution of dy for each phase of the strides.
 *
 * @param jobs Of the plan's phases, in their order.
 * @returns A new tensor of the input's shape.
 * @throws Error if out of memory, with nothing kept.
 */
export function runTransposed(
  state: WasmState,
  ofConvolution: ConvGeometry,
  {geometry, phases, zeros}: TransposedPlan,
  jobs: readonly ConvJob[],
  tensors: {readonly dy: TensorInfo; readonly filter: TensorInfo},
): TensorInfo {
  const {batchSize, inChannels, inHeight, inWidth, outHeight, outWidth, outChannels, dataFormat} = geometry;
  const planar = dataFormat === 'NCHW';
  const imageFloats = inHeight * inWidth * inChannels;
  const dy = dataOffset(state, 'dy', tensors.dy);
  const filter = dataOffset(state, 'filter', tensors.filter);
  // All phases' filters are packed first: for channels first they serve image after image.
  const panelBytes = phases.map(({plan, row}) => aligned(row.count * plan.panelBytes));
  const imageBytes = planar ? aligned(4 * imageFloats) : 0;
  const flippedBytes = phases.map((group) => aligned(4 * filterValues(group)));
  const packingCosts = phases.map(
    ({plan, row}) => (row.count * plan.panelBytes * plan.target.costs.packed) / 4,
  );
  const packers = phases.map(({row}, p) => state.threadsFor(row.count, packingCosts[p]));
  const threads = jobs.map((job) => {
    const {blocks, multiplyTasks, cost} = job.tasks;
    const count = state.threadsFor(Math.max(blocks, multiplyTasks), cost);
    job.shareOut(count);
    return count;
  });
  const scratches = jobs.map((job, p) => state.scratchesFor(threads[p]) * job.scratchBytes);
  const scratchBytes = Math.max(
    0,
    ...flippedBytes.map((bytes, p) => state.scratchesFor(packers[p]) * bytes),
    ...jobs.map(({shared}, p) => scratches[p] + shared.sharedBytes),
  );
  const allPanelBytes = panelBytes.reduce((a, b) => a + b, 0);
  const panels = state.workspace.reserve(allPanelBytes + imageBytes + scratchBytes);
  const image = panels + allPanelBytes;
  const scratch = image + imageBytes;
  const empty = batchSize * imageFloats === 0 || outChannels === 0 || geometry.outShape.includes(0);
  const pack = () => {
    let packed = panels;
    jobs.forEach((job, p) => {
      job.set('filter', filter);
      job.set('panels', packed);
      job.set('gathered', scratch + scratches[p]);
      state.run(packers[p], {
        kernel: 'im2win_pack',
        job: job.offset,
        first: 0,
        last: phases[p].row.count,
        cost: packingCosts[p],
        scratch,
        scratchBytes: flippedBytes[p],
      });
      packed += panelBytes[p];
    });
  };
  const runPhases = (x: number, to: number) => {
    jobs.forEach((job, p) => {
      const {row, column} = phases[p];
      job.set('x', x);
      job.set('output', to + 4 * (row.first * geometry.inWidth + column.first) * inChannels);
      runConvTasks(state, job, threads[p], scratch);
    });
  };
  return makeOutput(state, inputShape(ofConvolution), (offset) => {
    if (empty || (zeros && !planar)) state.kernels.im2win_clear(offset, batchSize * imageFloats);
    if (empty) return;
    pack();
    if (!planar) {
      runPhases(dy, offset);
      return;
    }
    // Image by image, each spread over its planes when all phases are there.
    for (let i = 0; i < batchSize; ++i) {
      if (zeros) state.kernels.im2win_clear(image, imageFloats);
      runPhases(dy + 4 * i * outHeight * outWidth * outChannels, image);
      state.kernels.im2win_spread(offset + 4 * i * imageFloats, image, inHeight * inWidth, inChannels);
    }
  });
}

/** A record of the convolution alone, for what needs no plan. */
export function plainJob(heap: Heap, offset: number, geometry: ConvGeometry): Job {
  return new Job(heap, offset, geometry);
}

function inputShape({dataFormat, batchSize, inChannels, inHeight, inWidth}: ConvGeometry): number[] {
  return dataFormat === 'NCHW'
    ? [batchSize, inChannels, inHeight, inWidth]
    : [batchSize, inHeight, inWidth, inChannels];
}

function filterValues({geometry}: PhaseGroup): number {
  return geometry.filterHeight * geometry.filterWidth * geometry.inChannels * geometry.outChannels;
}

/** The job of every other gradient. */
export function gradientJob(
  heap: Heap,
  offset: number,
  geometry: ConvGeometry,
  {target, block}: GradientPlan,
): Job {
  const job = new Job(heap, offset, geometry);
  job.set('rowsPerBlock', block.rows);
  job.set('rowsApart', block.apart ? 1 : 0);
  job.set('gatheredBytes', aligned(block.inputBytes));
  job.set('channelsPerTask', target.gradientChannels);
  return job;
}

/** The gradient with respect to the input, row by row, of a depthwise convolution or of a plan that is direct. */
export function runInputRows(
  state: WasmState,
  geometry: ConvGeometry,
  {entry, rows}: {entry: 'im2win_transposed' | 'im2win_depthwise_gradient_input'; rows: number},
  job: Job,
  tensors: {readonly dy: TensorInfo; readonly filter: TensorInfo},
): TensorInfo {
  const dy = dataOffset(state, 'dy', tensors.dy);
  const filter = dataOffset(state, 'filter', tensors.filter);
  return makeOutput(state, inputShape(geometry), (output) => {
    job.set('dy', dy);
    job.set('filter', filter);
    job.set('output', output);
    if (geometry.inWidth * geometry.inChannels === 0) return;
    const cost = gradientCost(geometry);
    state.run(state.threadsFor(rows, cost), {
      kernel: entry,
      job: job.offset,
      first: 0,
      last: rows,
      cost,
      scratch: 0,
      scratchBytes: 0,
    });
  });
}

/**
 * The gradient of a convolution, depthwise or full, with respect to its filter:
 * image after image, for NCHW block after block of gathered rows.
 */
export function runFilterGradient(
  state: WasmState,
  geometry: ConvGeometry,
  {target, block}: GradientPlan,
  job: Job,
  tensors: {readonly x: TensorInfo; readonly dy: TensorInfo},
): TensorInfo {
  const {filterHeight, filterWidth, inChannels, outChannels, channelMultiplier} = geometry;
  const {workspace} = state;
  const x = dataOffset(state, 'x', tensors.x);
  const dy = dataOffset(state, 'dy', tensors.dy);
  const depthwise = channelMultiplier !== undefined;
  const tasks = depthwise ? filterHeight : filterHeight * Math.ceil(inChannels / target.gradientChannels);
  const cost = gradientCost(geometry);
  const threads = state.threadsFor(tasks, cost);
  const scratchBytes = aligned(aligned(block.inputBytes) + block.outputBytes);
  const scratch = workspace.reserve(state.scratchesFor(threads) * scratchBytes);
  const shape = [filterHeight, filterWidth, inChannels, channelMultiplier ?? outChannels];
  return makeOutput(state, shape, (output) => {
    if (geometry.outShape.includes(0) || geometry.inHeight * geometry.inWidth === 0) {
      state.kernels.im2win_clear(output, floatBytes(shape) / 4);
      return;
    }
    job.set('x', x);
    job.set('dy', dy);
    job.set('output', output);
    state.run(threads, {
      kernel: depthwise ? 'im2win_depthwise_gradient_filter' : 'im2win_gradient_filter',
      job: job.offset,
      first: 0,
      last: tasks,
      cost,
      scratch,
      scratchBytes,
    });
  });
}

/** In steps, as if it were computed as a convolution is. */
function gradientCost(geometry: ConvGeometry): number {
  const {batchSize, outHeight, outWidth, outChannels, filterHeight, filterWidth} = geometry;
  const depth =
    filterHeight * filterWidth * (geometry.channelMultiplier === undefined ? geometry.inChannels : 1);
  return (2 * batchSize * outHeight * outWidth * outChannels * depth) / FLOPS_PER_STEP;
}
