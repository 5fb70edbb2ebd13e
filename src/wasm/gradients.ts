import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {ConvGeometry} from '../geometry.ts';
import type {GradientPlan, PhaseGroup, TransposedPlan} from '../plan.ts';
import {dataOffset, makeOutput, packFilter} from './conv2d.ts';
import {EpilogueOperands} from './epilogue.ts';
import {aligned} from './heap.ts';
import {im2winWorkspaceBytes, runIm2win} from './im2win.ts';
import {gatherRows, inputRowsOf} from './rows.ts';
import type {WasmState} from './state.ts';
import {runWinograd, winogradWorkspaceBytes} from './winograd.ts';

// Gradients see a fresh filter each step, so that packed filters are scratch.

const LINEAR = new EpilogueOperands('linear', 0, undefined, undefined);

/**
 * The gradient of a convolution with respect to its input, and the transposed
 * convolution: a convolution of dy for each phase of the strides.
 *
 * @returns A new tensor of the input's shape.
 * @throws Error if out of memory, with nothing kept.
 */
export function runTransposed(
  state: WasmState,
  {inHeight, inWidth, dataFormat}: ConvGeometry,
  {geometry, phases, zeros}: TransposedPlan,
  dy: TensorInfo,
  filter: TensorInfo,
): TensorInfo {
  const {batchSize, inChannels, outHeight, outWidth, outChannels} = geometry;
  const planar = dataFormat === 'NCHW';
  const imageFloats = inHeight * inWidth * inChannels;
  const x = dataOffset(state, 'dy', dy);
  const filterOffset = dataOffset(state, 'filter', filter);
  const flippedBytes = Math.max(0, ...phases.map((group) => aligned(4 * filterValues(group))));
  // All phases' filters are packed first: for channels first they serve image after image.
  const panelBytes = phases.reduce((sum, {plan, row}) => sum + row.count * aligned(plan.panelBytes), 0);
  const imageBytes = planar ? aligned(4 * imageFloats) : 0;
  const workspaceBytes = Math.max(0, ...phases.map(({plan}) => scratchBytes(plan)));
  const flipped = state.workspace.reserve(flippedBytes + panelBytes + imageBytes + workspaceBytes);
  const panels = flipped + flippedBytes;
  const image = panels + panelBytes;
  const {tensor, offset} = makeOutput(
    state,
    planar ? [batchSize, inChannels, inHeight, inWidth] : [batchSize, inHeight, inWidth, inChannels],
  );
  const clear = (from: number, count: number) =>
    state.heap.float32().fill(0, from >>> 2, (from >>> 2) + count);
  const empty = batchSize * imageFloats === 0 || outChannels === 0 || geometry.outShape.includes(0);
  if (empty || (zeros && !planar)) clear(offset, batchSize * imageFloats);
  if (empty) return tensor;

  let packed = panels;
  for (const group of phases) {
    for (let i = 0; i < group.row.count; ++i, packed += aligned(group.plan.panelBytes)) {
      state.kernels.im2win_flip(
        flipped,
        filterOffset,
        geometry.filterWidth,
        inChannels,
        outChannels,
        group.row.firstTap + i,
        geometry.strideHeight,
        group.geometry.filterHeight,
        group.column.firstTap,
        geometry.strideWidth,
        group.geometry.filterWidth,
        group.geometry.outChannels,
      );
      packFilter(state.kernels, group.geometry, group.plan, packed, flipped);
    }
  }

  const runPhases = (from: number, to: number) => {
    let filters = panels;
    for (const {geometry: own, plan, row, column} of phases) {
      for (let i = 0; i < row.count; ++i, filters += aligned(plan.panelBytes)) {
        const run = {
          kernels: state.kernels,
          geometry: planar ? {...own, batchSize: 1} : own,
          x: from,
          filter: filters,
          workspace: image + imageBytes,
          output: {
            offset: to + 4 * ((row.first + i) * geometry.inWidth + column.first) * inChannels,
            image: imageFloats,
            row: geometry.strideHeight * geometry.inWidth * inChannels,
            pixel: geometry.strideWidth * inChannels,
          },
          epilogue: LINEAR,
          ints: state.heap.int32(),
          floats: state.heap.float32(),
        };
        if (plan.algorithm === 'winograd') runWinograd(run, plan);
        else runIm2win(run, plan);
      }
    }
  };
  if (!planar) {
    runPhases(x, offset);
    return tensor;
  }
  // Image by image, each spread over its planes when all phases are there.
  const pixels = inHeight * inWidth;
  for (let i = 0; i < batchSize; ++i) {
    if (zeros) clear(image, imageFloats);
    runPhases(x + 4 * i * outHeight * outWidth * outChannels, image);
    state.kernels.im2win_spread_nchw(offset + 4 * i * imageFloats, image, pixels, inChannels, pixels);
  }
  return tensor;
}

function scratchBytes(plan: PhaseGroup['plan']): number {
  return plan.algorithm === 'winograd' ? winogradWorkspaceBytes(plan) : im2winWorkspaceBytes(plan);
}

function filterValues({geometry}: PhaseGroup): number {
  return geometry.filterHeight * geometry.filterWidth * geometry.inChannels * geometry.outChannels;
}

/** The gradient of a depthwise convolution with respect to its input. */
export function runDepthwiseInputGradient(
  state: WasmState,
  geometry: ConvGeometry,
  dy: TensorInfo,
  filter: TensorInfo,
): TensorInfo {
  const {batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const dyOffset = dataOffset(state, 'dy', dy);
  const filterOffset = dataOffset(state, 'filter', filter);
  const {tensor, offset} = makeOutput(state, [batchSize, inHeight, inWidth, inChannels]);
  for (let image = 0; image < batchSize; ++image) {
    state.kernels.im2win_depthwise_gradient_input(
      offset + 4 * image * inHeight * inWidth * inChannels,
      dyOffset + 4 * image * outHeight * outWidth * outChannels,
      filterOffset,
      inHeight,
      inWidth,
      inChannels,
      geometry.channelMultiplier ?? 1,
      outHeight,
      outWidth,
      geometry.filterHeight,
      geometry.filterWidth,
      geometry.strideHeight,
      geometry.strideWidth,
      geometry.dilationHeight,
      geometry.dilationWidth,
      geometry.padTop,
      geometry.padLeft,
    );
  }
  return tensor;
}

/**
 * The gradient of a convolution, depthwise or full, with respect to its filter:
 * image after image, for NCHW block after block of gathered rows.
 */
export function runFilterGradient(
  state: WasmState,
  geometry: ConvGeometry,
  {block}: GradientPlan,
  x: TensorInfo,
  dy: TensorInfo,
): TensorInfo {
  const {batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {filterHeight, filterWidth, strideHeight, padTop, channelMultiplier} = geometry;
  const {kernels, workspace, heap} = state;
  const planar = geometry.dataFormat === 'NCHW';
  const xOffset = dataOffset(state, 'x', x);
  const dyOffset = dataOffset(state, 'dy', dy);
  const last = channelMultiplier ?? outChannels;
  const xBlock = planar ? workspace.reserve(block.inputBytes + block.outputBytes) : 0;
  const dyBlock = xBlock + block.inputBytes;
  const {tensor, offset} = makeOutput(state, [filterHeight, filterWidth, inChannels, last]);
  const first = offset >>> 2;
  heap.float32().fill(0, first, first + filterHeight * filterWidth * inChannels * last);

  if (geometry.outShape.includes(0)) return tensor;

  for (let image = 0; image < batchSize; ++image) {
    const xImage = xOffset + 4 * image * inHeight * inWidth * inChannels;
    const dyImage = dyOffset + 4 * image * outHeight * outWidth * outChannels;
    for (let row = 0; row < outHeight; row += block.rows) {
      const rows = Math.min(block.rows, outHeight - row);
      const under = planar ? inputRowsOf(geometry, row, rows) : {first: 0, count: inHeight, padTop};
      if (planar) {
        gatherRows(kernels, xBlock, xImage, [inHeight, inWidth, inChannels], under.first, under.count);
        gatherRows(kernels, dyBlock, dyImage, [outHeight, outWidth, outChannels], row, rows);
      }
      const xRows = planar ? xBlock : xImage;
      const dyRows = planar ? dyBlock : dyImage;
      if (channelMultiplier === undefined) {
        kernels.im2win_gradient_filter(
          offset,
          xRows,
          dyRows,
          under.count,
          inWidth,
          inChannels,
          rows,
          outWidth,
          outChannels,
          filterHeight,
          filterWidth,
          strideHeight,
          geometry.strideWidth,
          under.padTop,
          geometry.padLeft,
        );
      } else {
        kernels.im2win_depthwise_gradient_filter(
          offset,
          xRows,
          dyRows,
          under.count,
          inWidth,
          inChannels,
          channelMultiplier,
          rows,
          outWidth,
          filterHeight,
          filterWidth,
          strideHeight,
          geometry.strideWidth,
          geometry.dilationHeight,
          geometry.dilationWidth,
          under.padTop,
          geometry.padLeft,
        );
      }
    }
  }
  return tensor;
}
