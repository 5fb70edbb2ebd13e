// Random calls of every kind that threads compute, most of them small.
import type {Tensor, Tensor4D} from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import {im2winConv2d} from '../../src/index.ts';
import {floats, size} from '../tf.ts';

export const KINDS = [
  'convolution',
  'fused',
  'channels first',
  'residual',
  'depthwise',
  'transposed',
  'filter gradient',
  'depthwise filter gradient',
  'depthwise input gradient',
  'matrix product',
  'moves',
  'elementwise',
  'reductions and a resize',
] as const;

export interface Problem {
  readonly kind: (typeof KINDS)[number];
  readonly xShape: readonly [number, number, number, number];
  /** Of the convolution: a depthwise one's, or a transposed one's, follows from it. */
  readonly filter: number;
  readonly outChannels: number;
  readonly stride: number;
  readonly dilation: number;
  readonly seed: number;
}

/** Numbers from 0 to below 1; the same ones for the same seed. */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)];
}

/** A whole number, small ones more often. */
function small(random: Random, least: number, most: number): number {
  return Math.floor(least + (most + 1 - least) * random() ** 2);
}

export function randomProblem(random: Random): Problem {
  const kind = pick(random, KINDS);
  const depthwise = kind.startsWith('depthwise');
  const stride = pick(random, [1, 1, 1, 2, 3]);
  return {
    kind,
    xShape: [
      small(random, 1, 3),
      small(random, 1, 40),
      small(random, 1, 40),
      small(random, 1, depthwise ? 128 : 64),
    ],
    filter: pick(random, [1, 1, 2, 3, 3, 3, 5]),
    outChannels: depthwise ? pick(random, [1, 1, 1, 2]) : small(random, 1, 64),
    stride,
    // tfjs has no gradient of a dilated convolution, and dilates none with strides.
    dilation:
      stride === 1 && ['convolution', 'fused', 'depthwise'].includes(kind) ? pick(random, [1, 1, 2]) : 1,
    seed: Math.floor(random() * 2 ** 31),
  };
}

/** Gives the bytes of what tfjs computes of it on its current backend, each time anew. */
export function prepare(problem: Problem): () => Buffer {
  const {kind, xShape, filter: side, outChannels, stride, dilation, seed} = problem;
  const values = new Map<number, Float32Array>();
  const tensor = (shape: readonly [number, number, number, number], of: number) => {
    const known = values.get(of) ?? floats(size(shape), seed + of);
    values.set(of, known);
    return tf.tensor4d(known, [...shape]);
  };
  const [batch, height, width, channels] = xShape;
  const filterShape = [side, side, channels, outChannels] as const;
  const outShape = [batch, Math.ceil(height / stride), Math.ceil(width / stride)] as const;
  const run = (): Tensor => {
    switch (kind) {
      case 'convolution':
        return tf.conv2d(tensor(xShape, 1), tensor(filterShape, 2), stride, 'same', 'NHWC', dilation);
      case 'fused':
        return tf.fused.conv2d({
          x: tensor(xShape, 1),
          filter: tensor(filterShape, 2),
          strides: stride,
          pad: 'same',
          dilations: dilation,
          bias: tf.tensor1d(floats(outChannels, seed)),
          activation: seed % 2 === 0 ? 'relu6' : 'sigmoid',
        });
      case 'channels first':
        return im2winConv2d(tensor([batch, channels, height, width], 1), tensor(filterShape, 2), {
          strides: stride,
          pad: 'same',
          dataFormat: 'NCHW',
        });
      case 'residual':
        return im2winConv2d(tensor(xShape, 1), tensor(filterShape, 2), {
          strides: stride,
          pad: 'same',
          bias: floats(outChannels, seed),
          activation: seed % 2 === 0 ? 'relu' : 'silu',
          residual: tensor([...outShape, outChannels], 3),
          residualAfterActivation: seed % 3 === 0,
        });
      case 'depthwise':
        return tf.depthwiseConv2d(
          tensor(xShape, 1),
          tensor(filterShape, 2),
          stride,
          'same',
          'NHWC',
          dilation,
        );
      case 'transposed':
        return tf.conv2dTranspose(
          tensor([...outShape, outChannels], 1),
          tensor(filterShape, 2),
          [...xShape] as [number, number, number, number],
          stride,
          'same',
        );
      case 'filter gradient':
        return tf.grads((x, filter) => tf.conv2d(x as Tensor4D, filter as Tensor4D, stride, 'same'))([
          tensor(xShape, 1),
          tensor(filterShape, 2),
        ])[1];
      case 'depthwise filter gradient':
      case 'depthwise input gradient':
        return tf.grads((x, filter) => tf.depthwiseConv2d(x as Tensor4D, filter as Tensor4D, stride, 'same'))(
          [tensor(xShape, 1), tensor(filterShape, 2)],
        )[kind === 'depthwise input gradient' ? 0 : 1];
      case 'matrix product': {
        const depth = width * channels;
        const columns = 4 * outChannels * side;
        const transposed = seed % 2 === 0;
        const b = transposed ? ([columns, depth] as const) : ([depth, columns] as const);
        const batchOfB = seed % 3 === 0 ? batch : 1;
        return tf.matMul(
          tf.reshape(tensor(xShape, 1), [batch, height, depth]),
          tf.reshape(tensor([batchOfB, 1, ...b], 2), [batchOfB, ...b]),
          false,
          transposed,
        );
      }
      case 'moves': {
        const x = tf.pad(tensor(xShape, 1), [
          [0, 0],
          [side, 1],
          [0, side],
          [0, 0],
        ]);
        const planes = tf.transpose(tf.concat([x, x], 3), [0, 3, 1, 2]);
        const sides = [0, 0, 0, 1].map((own) => [own, own] as [number, number]);
        return tf.mirrorPad(tf.slice(planes, [0, 0, 1, 0]), sides, 'symmetric');
      }
      case 'elementwise': {
        const [mean, variance, slope] = [3, 4, 5].map((of) => tf.abs(tensor([1, 1, 1, channels], of)));
        const normed = tf.batchNorm(tensor(xShape, 1), tf.reshape(mean, [-1]), tf.reshape(variance, [-1]));
        const sum = tf.addN([normed, tf.mul(tensor(xShape, 2), slope), tf.tanh(normed)]);
        return tf.where(tf.greater(sum, slope), sum, tf.sigmoid(sum));
      }
      case 'reductions and a resize': {
        const x = tensor(xShape, 1);
        const resized = tf.image.resizeBilinear(x, [side * height, stride * width]);
        return tf.concat(
          [tf.sum(resized, [1, 2]), tf.max(resized, [1, 2]), tf.mean(resized, [0, 3])].map((one) =>
            tf.reshape(one, [-1]),
          ),
        );
      }
    }
  };
  return () => {
    const output = tf.tidy(() => run().dataSync());
    return Buffer.from(output.buffer, output.byteOffset, output.byteLength);
  };
}
