// Two contenders from the paper's comparison, on the library's own tile and
// panels: what differs from im2win is the matrix alone. They run on tfjs's heap as the
// library does, with its internals, and so from a checkout only.
import * as tf from '@tensorflow/tfjs-core';
import type {Activation} from '../src/activation.ts';
import type {Flavour} from '../src/plan.ts';
import {CALL_BYTES, ConvCall} from '../src/wasm/convCall.ts';
import {EpilogueOperands} from '../src/wasm/epilogue.ts';
import type {Allocation} from '../src/wasm/heap.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {CannotRun, type Contender, type LayerOperands} from './contender.ts';
import {geometryOf} from './geometry.ts';
import type {Layer} from './layer.ts';
import {openState} from './wasmState.ts';

/** How a contender lays out a convolution's left matrix. */
interface Layout {
  readonly bytes: number;
  /** Writes the matrix for one image from x to `to`; both are byte offsets. */
  gather(to: number, x: number): void;
  readonly windows: Pick<
    Parameters<ConvCall['writeWindows']>[0],
    'segmentLength' | 'segments' | 'segmentStride' | 'windowStride' | 'windowRowStride'
  >;
  /** The panel's rows in the order of a window's floats. */
  readonly filterRows: readonly [filterHeight: number, filterWidth: number];
}

type MakeLayout = (state: WasmState, layer: Layer) => Layout;

/** Every window written out in full, as one matrix, then one product. */
const im2col: MakeLayout = (state, layer) => {
  const g = geometryOf(layer);
  const depth = g.filterHeight * g.filterWidth * g.inChannels;
  const rowFloats = g.outWidth * depth;
  return {
    bytes: 4 * g.outHeight * rowFloats,
    gather(to, x) {
      state.kernels.im2win_strip(
        to,
        x,
        g.inHeight,
        g.inWidth,
        g.inChannels,
        g.filterHeight,
        -g.padTop,
        g.dilationHeight,
        -g.padLeft,
        g.dilationWidth,
        g.filterWidth,
        g.strideWidth,
        g.outWidth,
        g.outHeight,
        rowFloats,
        g.strideHeight,
      );
    },
    windows: {
      segmentLength: depth,
      segments: 1,
      segmentStride: 0,
      windowStride: depth,
      windowRowStride: rowFloats,
    },
    filterRows: [g.filterHeight, g.filterWidth],
  };
};

/** Windows read where they lie in the input, row by row of the filter; a padded copy first if there is padding. */
const direct: MakeLayout = (state, layer) => {
  const g = geometryOf(layer);
  const padded = g.padTop + g.padBottom + g.padLeft + g.padRight > 0;
  const width = g.inWidth + g.padLeft + g.padRight;
  const height = g.inHeight + g.padTop + g.padBottom;
  const rowFloats = width * g.inChannels;
  return {
    bytes: padded ? 4 * height * rowFloats : 0,
    gather(to, x) {
      state.kernels.im2win_strip(
        to,
        x,
        g.inHeight,
        g.inWidth,
        g.inChannels,
        1,
        -g.padTop,
        1,
        -g.padLeft,
        1,
        width,
        0,
        1,
        padded ? height : 0,
        rowFloats,
        1,
      );
    },
    windows: {
      segmentLength: g.filterWidth * g.inChannels,
      segments: g.filterHeight,
      segmentStride: rowFloats,
      windowStride: g.strideWidth * g.inChannels,
      windowRowStride: g.strideHeight * rowFloats,
    },
    // The filter as it is: its rows lie in the order of the input's.
    filterRows: [1, g.filterHeight * g.filterWidth],
  };
};

// A block of the matrix that stays in the second-level cache, as the library's do.
const BLOCK_BYTES = 128 * 1024;

function contender(name: string, makeLayout: MakeLayout, flavour: Flavour): Contender {
  let state: WasmState | undefined;
  let matrix: Allocation | undefined;

  const release = () => {
    if (matrix !== undefined) state?.heap.free(matrix);
    matrix = undefined;
    state?.release();
    state = undefined;
  };

  return {
    name,
    async start(layer) {
      if (Math.max(...layer.dilations) > 1) throw new CannotRun(`${name} takes no dilation.`);
      if (layer.kernelName !== 'Conv2D' && layer.kernelName !== 'FusedConv2D') {
        throw new CannotRun(`${name} takes no ${layer.kernelName}.`);
      }
      release();
      state = await openState(flavour);
    },
    stop: release,
    run(layer, operands) {
      if (state === undefined) throw new Error(`${name} was not started.`);
      const layout = makeLayout(state, layer);
      if (layout.bytes > 0) matrix ??= state.heap.allocate(layout.bytes, name);
      return runProduct(state, layer, layout, operands, matrix?.offset ?? 0, flavour);
    },
    ownBytes: () => ({
      workspace: (matrix?.bytes ?? 0) + (state?.workspace.bytes ?? 0),
      filter: state?.filters.bytes ?? 0,
    }),
  };
}

function runProduct(
  state: WasmState,
  layer: Layer,
  layout: Layout,
  operands: LayerOperands,
  matrix: number,
  flavour: Flavour,
): tf.Tensor {
  const {backend, kernels, heap} = state;
  const g = geometryOf(layer);
  const offsetOf = (tensor: tf.TensorInfo) => backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0;
  const place = (tensor: tf.Tensor | undefined) =>
    tensor && {offset: offsetOf(tensor), strides: {batch: 0, row: 0, pixel: 0, channel: 1}};
  const depth = g.filterHeight * g.filterWidth * g.inChannels;
  const panelBytes = 4 * depth * Math.ceil(g.outChannels / 8) * 8;
  const panels = state.filters.get(operands.filter.dataId, {
    packing: 'comparison',
    bytes: panelBytes,
    keptBytes: Number.POSITIVE_INFINITY,
    pack: (to) =>
      kernels.im2win_pack(to, offsetOf(operands.filter), ...layout.filterRows, g.inChannels, g.outChannels),
  }) as number;
  const workspace = state.workspace.reserve(CALL_BYTES);
  const output = backend.makeOutput([...g.outShape], 'float32');
  const call = new ConvCall(workspace, heap.int32(), heap.float32());
  const epilogue = new EpilogueOperands(
    layer.activation as Activation,
    0.2,
    place(operands.bias),
    place(operands.preluActivationWeights),
  );
  const outRowFloats = g.outWidth * g.outChannels;
  epilogue.writeActivation(call);
  epilogue.writeOperands(call, {image: 0, row: 0, pixel: 0, pixelStep: 1});
  call.writeWindows({...layout.windows, panels});
  call.writeOutput({
    outChannels: g.outChannels,
    rowLength: g.outWidth,
    outPixelStride: g.outChannels,
    outRowStride: outRowFloats,
  });
  const gemm = flavour === 'relaxed' ? kernels.im2win_gemm_6x8 : kernels.im2win_gemm_5x8;
  const {windowRowStride} = layout.windows;
  const rowsPerBlock = Math.max(
    1,
    Math.floor(BLOCK_BYTES / (4 * windowRowStride)),
    Math.ceil(96 / g.outWidth),
  );
  for (let image = 0; image < g.batchSize; ++image) {
    const x = offsetOf(operands.x) + 4 * image * g.inHeight * g.inWidth * g.inChannels;
    layout.gather(matrix, x);
    const windows = matrix === 0 ? x : matrix;
    for (let row = 0; row < g.outHeight; row += rowsPerBlock) {
      gemm?.(
        call.offset,
        windows + 4 * row * windowRowStride,
        offsetOf(output) + 4 * outRowFloats * (image * g.outHeight + row),
        Math.min(rowsPerBlock, g.outHeight - row),
      );
    }
  }
  return tf.engine().makeTensorFromTensorInfo(output);
}

export const comparisonContenders = (flavour: Flavour): Contender[] => [
  contender('im2col', im2col, flavour),
  contender('direct', direct, flavour),
];
