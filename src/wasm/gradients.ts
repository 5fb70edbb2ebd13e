import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {ConvGeometry} from '../geometry.ts';
import type {TransposedPhase, TransposedPlan} from '../plan.ts';
import {dataOffset, makeOutput} from './conv2d.ts';
import {EpilogueOperands} from './epilogue.ts';
import {im2winWorkspaceBytes, packIm2win, runIm2win} from './im2win.ts';
import type {WasmState} from './state.ts';
import {packWinograd, runWinograd, winogradWorkspaceBytes} from './winograd.ts';

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
  geometry: ConvGeometry,
  {phases, zeros}: TransposedPlan,
  dy: TensorInfo,
  filter: TensorInfo,
): TensorInfo {
  const {batchSize, inHeight, inWidth, inChannels, outChannels, strideHeight, strideWidth} = geometry;
  const shape = [batchSize, inHeight, inWidth, inChannels];
  const x = dataOffset(state, 'dy', dy);
  const filterOffset = dataOffset(state, 'filter', filter);
  const flippedBytes = Math.max(0, ...phases.map((phase) => aligned(4 * filterValues(phase))));
  const panelBytes = Math.max(0, ...phases.map(({plan}) => aligned(plan.panelBytes)));
  const workspaceBytes = Math.max(0, ...phases.map(({plan}) => scratchBytes(plan)));
  const flipped = state.workspace.reserve(flippedBytes + panelBytes + workspaceBytes);
  const panels = flipped + flippedBytes;
  const {tensor, offset} = makeOutput(state, shape);
  const empty = shape.includes(0) || outChannels === 0 || geometry.outShape.includes(0);
  const floats = state.heap.float32();
  if (zeros || empty) floats.fill(0, offset >>> 2, (offset >>> 2) + shape.reduce((a, b) => a * b, 1));
  if (empty) return tensor;

  for (const phase of phases) {
    const {plan} = phase;
    phase.tapColumns.forEach((tapColumn, i) => {
      state.kernels.im2win_flip(
        flipped + 4 * i * inChannels,
        filterOffset,
        geometry.filterWidth,
        inChannels,
        outChannels,
        phase.tapRow,
        strideHeight,
        phase.geometry.filterHeight,
        tapColumn,
        strideWidth,
        phase.geometry.filterWidth,
        phase.geometry.outChannels,
      );
    });
    const run = {
      kernels: state.kernels,
      geometry: phase.geometry,
      x,
      filter: panels,
      workspace: panels + panelBytes,
      output: {
        offset: offset + 4 * (phase.row * inWidth + phase.column) * inChannels,
        image: inHeight * inWidth * inChannels,
        row: strideHeight * inWidth * inChannels,
        pixel: strideWidth * inChannels, // All of a group's columns, or one of them.
      },
      epilogue: LINEAR,
      ints: state.heap.int32(),
      floats,
    };
    if (plan.algorithm === 'winograd') {
      packWinograd(state.kernels, phase.geometry, plan, panels, flipped);
      runWinograd(run, plan);
    } else {
      packIm2win(state.kernels, phase.geometry, plan, panels, flipped);
      runIm2win(run, plan);
    }
  }
  return tensor;
}

function scratchBytes(plan: TransposedPhase['plan']): number {
  return plan.algorithm === 'winograd' ? winogradWorkspaceBytes(plan) : im2winWorkspaceBytes(plan);
}

function filterValues({geometry}: TransposedPhase): number {
  return geometry.filterHeight * geometry.filterWidth * geometry.inChannels * geometry.outChannels;
}

// To a cache line, as the heap's own pieces are.
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
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
  x: TensorInfo,
  dy: TensorInfo,
): TensorInfo {
  const {batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {filterHeight, filterWidth, strideHeight, dilationHeight, padTop, channelMultiplier} = geometry;
  const {kernels, workspace, heap} = state;
  const planar = geometry.dataFormat === 'NCHW';
  const xImage = dataOffset(state, 'x', x);
  const dyImage = dataOffset(state, 'dy', dy);
  const last = channelMultiplier ?? outChannels;
  const rowsPerBlock = planar ? gradientRows(geometry) : outHeight;
  const xRowBytes = 4 * inWidth * inChannels;
  const dyRowBytes = 4 * outWidth * outChannels;
  const xBlock = planar ? workspace.reserve(gradientBytes(geometry, rowsPerBlock)) : 0;
  const dyBlock = xBlock + inputRows(geometry, rowsPerBlock) * xRowBytes;
  const {tensor, offset} = makeOutput(state, [filterHeight, filterWidth, inChannels, last]);
  const first = offset >>> 2;
  heap.float32().fill(0, first, first + filterHeight * filterWidth * inChannels * last);

  for (let image = 0; image < batchSize; ++image) {
    const xFrom = xImage + image * inHeight * xRowBytes;
    const dyFrom = dyImage + image * outHeight * dyRowBytes;
    for (let row = 0; row < outHeight; row += rowsPerBlock) {
      const rows = Math.min(rowsPerBlock, outHeight - row);
      const top = row * strideHeight - padTop;
      const firstRow = planar ? Math.max(0, Math.min(inHeight, top)) : 0;
      const inRows = planar
        ? Math.max(0, Math.min(inHeight, top + inputRows(geometry, rows)) - firstRow)
        : inHeight;
      for (let r = 0; planar && r < inRows; ++r) {
        const to = xBlock + r * xRowBytes;
        kernels.im2win_strip_nchw(
          to,
          xFrom,
          inHeight,
          inWidth,
          inChannels,
          1,
          firstRow + r,
          1,
          0,
          1,
          inWidth,
          0,
          1,
        );
      }
      for (let r = 0; planar && r < rows; ++r) {
        const to = dyBlock + r * dyRowBytes;
        kernels.im2win_strip_nchw(
          to,
          dyFrom,
          outHeight,
          outWidth,
          outChannels,
          1,
          row + r,
          1,
          0,
          1,
          outWidth,
          0,
          1,
        );
      }
      const xRows = planar ? xBlock : xFrom;
      const dyRows = planar ? dyBlock : dyFrom;
      const padAbove = firstRow - top;
      if (channelMultiplier === undefined) {
        kernels.im2win_gradient_filter(
          offset,
          xRows,
          dyRows,
          inRows,
          inWidth,
          inChannels,
          rows,
          outWidth,
          outChannels,
          filterHeight,
          filterWidth,
          strideHeight,
          geometry.strideWidth,
          padAbove,
          geometry.padLeft,
        );
      } else {
        kernels.im2win_depthwise_gradient_filter(
          offset,
          xRows,
          dyRows,
          inRows,
          inWidth,
          inChannels,
          channelMultiplier,
          rows,
          outWidth,
          filterHeight,
          filterWidth,
          strideHeight,
          geometry.strideWidth,
          dilationHeight,
          geometry.dilationWidth,
          padAbove,
          geometry.padLeft,
        );
      }
    }
  }
  return tensor;
}

const BLOCK_BYTES = 255 * 1024;

function gradientRows(geometry: ConvGeometry): number {
  let rows = 1;
  while (rows < geometry.outHeight && gradientBytes(geometry, rows + 1) <= BLOCK_BYTES) ++rows;
  return rows;
}

function gradientBytes(geometry: ConvGeometry, rows: number): number {
  const {inWidth, inChannels, outWidth, outChannels} = geometry;
  return 4 * (inputRows(geometry, rows) * inWidth * inChannels + rows * outWidth * outChannels);
}

/** Input rows under some output rows. */
function inputRows({strideHeight, filterHeight, dilationHeight}: ConvGeometry, rows: number): number {
  return (rows - 1) * strideHeight + (filterHeight - 1) * dilationHeight + 1;
}
