// Who is measured: ways to compute one convolution.
import * as tf from '@tensorflow/tfjs-core';
import {type Algorithm, type Im2winOptions, type Im2winRegistration, registerIm2win} from 'tfjs-im2win';
import {isDepthwise, type Layer} from './layer.ts';

export interface LayerOperands {
  readonly x: tf.Tensor4D;
  readonly filter: tf.Tensor4D;
  readonly bias?: tf.Tensor1D;
  readonly preluActivationWeights?: tf.Tensor1D;
}

/** Bytes beside the tensors. */
export interface OwnBytes {
  readonly workspace: number;
  readonly filter: number;
}

/** What a call gives: a tensor, or what another engine has in its place. */
export interface Output {
  dataSync(): tf.TypedArray;
  dispose(): void;
}

/** What a contender throws for a layer that is not its kind. Any other error is a failure. */
export class CannotRun extends Error {}

export interface Contender {
  readonly name: string;
  /** The filter is part of what `start` prepares: it cannot be changed from call to call. */
  readonly fixedFilter?: boolean;
  /** Called before a layer's first call; forgets what earlier layers left behind. */
  start(layer: Layer, operands: LayerOperands): Promise<void>;
  run(layer: Layer, operands: LayerOperands): Output | Promise<Output>;
  /** What the layer has needed since `start`; missing where it cannot be known. */
  ownBytes?(layer: Layer): OwnBytes | undefined;
  /** Called when all contenders have made their first call, before anything is timed. */
  settle?(layer: Layer, operands: LayerOperands): Promise<void>;
  /** Called after a layer: gives everything back. */
  stop?(): void | Promise<void>;
  /** How the layer was computed, where that is not the contender's name. */
  route?(layer: Layer): string;
}

export const OWN_ALGORITHMS = ['stock', 'im2win', 'winograd', 'auto'] as const satisfies readonly Algorithm[];

// Workers are there some ten milliseconds after the first call that wants them.
const WORKERS_START_MS = 150;

/**
 * The algorithms that a registration switches between, stock among them, on one thread; and `auto` on others.
 *
 * @param threads How many threads `auto` runs on, one after the other.
 */
export function registeredContenders(
  backend: string,
  simd: Im2winOptions['simd'],
  threads: readonly number[] = [1],
): Contender[] {
  let registration: Im2winRegistration | undefined;
  const numThreads = Math.max(...threads);
  // What is kept of one filter has a bound, within which each algorithm's packing would be in the others' way.
  const own = new Map<Algorithm, tf.Tensor4D>();
  let given: tf.Tensor4D | undefined;
  const kinds = [
    ...OWN_ALGORITHMS.filter((algorithm) => algorithm !== 'auto').map((algorithm) => ({algorithm, count: 1})),
    ...threads.map((count) => ({algorithm: 'auto' as const, count})),
  ];
  return kinds.map(({algorithm, count}) => ({
    name: threadedName(algorithm, count),
    async start(_, {filter}) {
      registration?.unregister();
      registration = await registerIm2win({simd, numThreads});
      given = filter;
      own.get(algorithm)?.dispose();
      own.set(algorithm, tf.clone(filter));
    },
    async settle(layer, operands) {
      if (count === 1) return;
      this.run(layer, operands);
      await new Promise((resolve) => setTimeout(resolve, WORKERS_START_MS));
    },
    stop() {
      registration?.unregister();
      for (const filter of own.values()) filter.dispose();
      own.clear();
    },
    run(layer, operands) {
      registration?.setAlgorithm(algorithm);
      if (numThreads > 1) registration?.setNumThreads(count);
      const filter = operands.filter === given ? own.get(algorithm) : undefined;
      return runKernel(layer, filter === undefined ? operands : {...operands, filter});
    },
    ownBytes({xShape, filterShape, ...layer}) {
      if (backend === 'cpu') return undefined;
      if (algorithm === 'stock' && layer.kernelName !== 'Conv2D' && layer.kernelName !== 'FusedConv2D') {
        return undefined;
      }
      if (algorithm !== 'stock') {
        const {workspaceBytes, filterBytes} = registration?.memory() ?? {workspaceBytes: 0, filterBytes: 0};
        return {workspace: workspaceBytes, filter: filterBytes};
      }
      // Not observable from outside: XNNPACK's packed filter, tfjs's transposed copy of it, and the
      // indirection buffer, a pointer for each tap of each output pixel.
      const [filterHeight, filterWidth, inChannels, outChannels] = filterShape;
      const {outHeight, outWidth} = outputSize({xShape, filterShape, ...layer});
      return {
        workspace: outHeight * outWidth * filterHeight * filterWidth * 4,
        filter: 2 * 4 * filterHeight * filterWidth * inChannels * outChannels,
      };
    },
    route: () => registration?.report().at(-1)?.algorithm ?? algorithm,
  }));
}

/** The name of a contender on so many threads. */
export function threadedName(name: string, threads: number): string {
  return threads === 1 ? name : `${name} ×${threads}`;
}

export function runKernel(layer: Layer, operands: LayerOperands): tf.Tensor {
  const {strides, pad, dilations, activation, inputShape} = layer;
  const attributes = {
    strides,
    pad,
    dataFormat: 'NHWC',
    dilations,
    activation,
    leakyreluAlpha: 0.2,
    inputShape,
  };
  const {x, ...others} = operands;
  return tf
    .engine()
    .runKernel(
      layer.kernelName,
      (inputShape === undefined ? operands : {dy: x, ...others}) as unknown as tf.NamedTensorMap,
      attributes as unknown as tf.NamedAttrMap,
    ) as tf.Tensor;
}

/** The sizes of the convolution; of a transposed layer, of the one that it transposes. */
export function outputSize(layer: Layer) {
  const {xShape, filterShape, strides, dilations, pad, inputShape = xShape} = layer;
  return tf.backend_util.computeConv2DInfo(
    [...inputShape] as [number, number, number, number],
    [...filterShape],
    [...strides],
    [...dilations],
    pad,
    undefined,
    isDepthwise(layer),
  );
}

export function flopsOf(layer: Layer): number {
  const {batchSize, outHeight, outWidth} = outputSize(layer);
  return 2 * batchSize * outHeight * outWidth * layer.filterShape.reduce((a, b) => a * b, 1);
}
