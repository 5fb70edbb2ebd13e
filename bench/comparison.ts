// Two contenders from the paper's comparison, on the library's own tile and
// panels: what differs from im2win is the matrix alone. They run on tfjs's heap as the
// library does, with its internals, and so from a checkout only.
import * as tf from '@tensorflow/tfjs-core';
import type {ConvGeometry} from '../src/geometry.ts';
import type {Flavour} from '../src/plan.ts';
import {planFull} from '../src/planner.ts';
import {TARGETS} from '../src/targets.generated.ts';
import type {Allocation} from '../src/wasm/heap.ts';
import {CALL_BYTES, ConvJob} from '../src/wasm/job.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {CannotRun, type Contender, type LayerOperands} from './contender.ts';
import {geometryOf} from './geometry.ts';
import type {Layer} from './layer.ts';
import {loadBenchKernels} from './peaks.ts';
import {openState} from './wasmState.ts';

/** How a contender lays out a convolution's left matrix. */
interface Layout {
  readonly bytes: number;
  /** Writes the matrix for one image from x to `to`; both are byte offsets. */
  gather(kernels: ComparisonKernels, to: number, x: number): void;
  /** Strides in floats. */
  readonly windows: {
    readonly segmentLength: number;
    readonly segments: number;
    readonly segmentStride: number;
    readonly windowStride: number;
    readonly windowRowStride: number;
  };
  /** The order of a panel's rows: that of strips, or that of tfjs's filter. */
  readonly source: 'strips' | 'rows';
}

/** The exports of bench/kernels/comparison.cpp. */
interface ComparisonKernels {
  strips(to: number, x: number, ...gather: number[]): void;
  describe(to: number, panels: number, bias: number, ...call: number[]): void;
  product(call: number, a: number, c: number, rows: number): void;
}

type MakeLayout = (layer: Layer) => Layout;

/** Every window written out in full, as one matrix, then one product. */
const im2col: MakeLayout = (layer) => {
  const g = geometryOf(layer);
  const depth = g.filterHeight * g.filterWidth * g.inChannels;
  const rowFloats = g.outWidth * depth;
  return {
    bytes: 4 * g.outHeight * rowFloats,
    gather(kernels, to, x) {
      kernels.strips(
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
    source: 'strips',
  };
};

/** Windows read where they lie in the input, row by row of the filter; a padded copy first if there is padding. */
const direct: MakeLayout = (layer) => {
  const g = geometryOf(layer);
  const padded = g.padTop + g.padBottom + g.padLeft + g.padRight > 0;
  const width = g.inWidth + g.padLeft + g.padRight;
  const height = g.inHeight + g.padTop + g.padBottom;
  const rowFloats = width * g.inChannels;
  return {
    bytes: padded ? 4 * height * rowFloats : 0,
    gather(kernels, to, x) {
      kernels.strips(
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
    // The filter's rows lie in the order of the input's already.
    source: 'rows',
  };
};

function contender(name: string, makeLayout: MakeLayout, flavour: Flavour): Contender {
  let state: WasmState | undefined;
  let kernels: ComparisonKernels | undefined;
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
      if (!(layer.activation in BOUNDS)) throw new CannotRun(`${name} takes no ${layer.activation}.`);
      release();
      state = await openState(flavour);
      kernels = loadBenchKernels(flavour, state.heap.memory) as unknown as ComparisonKernels;
    },
    stop: release,
    run(layer, operands) {
      if (state === undefined || kernels === undefined) throw new Error(`${name} was not started.`);
      const layout = makeLayout(layer);
      if (layout.bytes > 0) matrix ??= state.heap.allocate(layout.bytes, name);
      return runProduct({state, flavour, kernels}, layer, layout, operands, matrix?.offset ?? 0);
    },
    ownBytes: () => ({
      workspace: (matrix?.bytes ?? 0) + (state?.workspace.bytes ?? 0),
      filter: state?.filters.bytes ?? 0,
    }),
  };
}

const BOUNDS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  linear: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  relu: [0, Number.POSITIVE_INFINITY],
  relu6: [0, 6],
};

/** What runs a product: the library's state, and the benchmark's kernels of the same flavour. */
interface Runner {
  readonly state: WasmState;
  readonly flavour: Flavour;
  readonly kernels: ComparisonKernels;
}

function runProduct(
  {state, flavour, kernels}: Runner,
  layer: Layer,
  layout: Layout,
  operands: LayerOperands,
  matrix: number,
): tf.Tensor {
  const {backend} = state;
  const g = geometryOf(layer);
  const offsetOf = (tensor: tf.TensorInfo | undefined) =>
    tensor ? (backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0) : 0;
  const depth = g.filterHeight * g.filterWidth * g.inChannels;
  const {blockBytes, blockWindows, tile} = TARGETS[flavour];
  const panelCount = Math.ceil(g.outChannels / tile.nr);
  const panels = state.filters.get(operands.filter.dataId, {
    packing: 'comparison',
    bytes: 4 * depth * panelCount * tile.nr,
    keptBytes: Number.POSITIVE_INFINITY,
    pack: (to) => {
      const job = packingJob(state, flavour, g, layout);
      job.set('filter', offsetOf(operands.filter));
      job.set('panels', to);
      state.kernels.im2win_pack(job.offset, 0, panelCount, 0);
      state.jobs.forget(layout);
    },
  }) as number;
  const call = state.workspace.reserve(CALL_BYTES);
  const output = backend.makeOutput([...g.outShape], 'float32');
  const {segmentLength, segments, segmentStride, windowStride, windowRowStride} = layout.windows;
  const [low, high] = BOUNDS[layer.activation];
  kernels.describe(
    call,
    panels,
    offsetOf(operands.bias),
    low,
    high,
    g.outChannels,
    g.outWidth,
    segmentLength,
    segments,
    segmentStride,
    windowStride,
    windowRowStride,
  );
  const outRowFloats = g.outWidth * g.outChannels;
  // A block of the matrix stays in the second-level cache. The library's blocks have a panel and rows beside them there.
  const rowsPerBlock = Math.max(
    1,
    Math.floor((2 * blockBytes) / (4 * windowRowStride)),
    Math.ceil(blockWindows / g.outWidth),
  );
  for (let image = 0; image < g.batchSize; ++image) {
    const x = offsetOf(operands.x) + 4 * image * g.inHeight * g.inWidth * g.inChannels;
    layout.gather(kernels, matrix, x);
    const windows = matrix === 0 ? x : matrix;
    for (let row = 0; row < g.outHeight; row += rowsPerBlock) {
      kernels.product(
        call,
        windows + 4 * row * windowRowStride,
        offsetOf(output) + 4 * outRowFloats * (image * g.outHeight + row),
        Math.min(rowsPerBlock, g.outHeight - row),
      );
    }
  }
  return tf.engine().makeTensorFromTensorInfo(output);
}

/** The library's own packing, whose order is the plan's. */
function packingJob({heap, jobs}: WasmState, flavour: Flavour, geometry: ConvGeometry, layout: Layout) {
  const context = {target: flavour, algorithm: 'im2win', winograd: false} as const;
  const own = planFull(geometry, context);
  if (own.algorithm !== 'im2win') throw new Error(`a plan for ${own.algorithm}, not im2win`);
  const plan = {...own, strip: {...own.strip, source: layout.source}};
  const [job] = jobs.get(
    layout,
    1,
    (_, offset) => new ConvJob(heap, offset, {geometry, plan, activation: 'linear'}),
  );
  return job;
}

export const comparisonContenders = (flavour: Flavour): Contender[] => [
  contender('im2col', im2col, flavour),
  contender('direct', direct, flavour),
];
