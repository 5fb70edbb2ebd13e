// The networks that engines are compared on, as Keras layers models: whatever form an engine takes is written from these.
import * as tf from '@tensorflow/tfjs-core';
import {input, type LayersModel, layers, model} from '@tensorflow/tfjs-layers';
import {add, apply, average, KerasBuilder, type Node, relu, zeroPadding} from '../../kerasBuilder.ts';
import {KERAS_NETWORKS} from '../../kerasNetworks.ts';

const concat = (nodes: Node[], axis = 3) => apply(layers.concatenate({axis}), nodes);
const silu = (x: Node) => apply(layers.activation({activation: 'swish'}), x);
const upsample = (x: Node) => apply(layers.upSampling2d({size: [2, 2]}), x);
const reshape = (x: Node, ...targetShape: number[]) => apply(layers.reshape({targetShape}), x);
const maxPool = (x: Node, poolSize: number, strides: number) =>
  apply(layers.maxPooling2d({poolSize, strides, padding: 'same'}), x);

/** Like BlazeFace (Bazarevsky et al., 2019); where it pads channels, here is a 1×1 convolution. */
function blazeFace(b: KerasBuilder, x: Node): Node {
  // There are no batch norms that would keep sums of residuals small.
  const gain = 0.6;
  const block = (from: Node, filters: number, strides = 1) => {
    const deep = b.depthwise(from, {size: 5, strides, bias: true, gain});
    const shrunk = strides === 1 ? from : maxPool(from, 2, 2);
    const shortcut = shrunk.shape[3] === filters ? shrunk : b.conv(shrunk, filters, {bias: true, gain});
    return relu(add(shortcut, b.conv(deep, filters, {bias: true, gain})));
  };
  x = b.conv(x, 24, {size: 5, strides: 2, bias: true, activation: 'relu'});
  for (const filters of [24, 28]) x = block(x, filters);
  x = block(x, 32, 2);
  for (const filters of [36, 42]) x = block(x, filters);
  x = block(x, 48, 2);
  for (const filters of [56, 64, 72, 80, 88]) x = block(x, filters);
  let coarse = block(x, 96, 2);
  for (let i = 0; i < 4; ++i) coarse = block(coarse, 96);
  const anchors = (from: Node, count: number) => {
    const [, height, width] = from.shape as number[];
    return reshape(b.conv(from, count * 17, {bias: true}), height * width * count, 17);
  };
  return concat([anchors(x, 2), anchors(coarse, 6)], 1);
}

/** Tan and Le, 2019, as Keras has it, without the scaling of its input. */
function efficientNetB0(b: KerasBuilder, x: Node): Node {
  x = b.conv(zeroPadding(x, [0, 1]), 32, {size: 3, strides: 2, padding: 'valid'});
  x = silu(b.batchNorm(x));
  for (const [expansion, filters, count, size, strides] of [
    [1, 16, 1, 3, 1],
    [6, 24, 2, 3, 2],
    [6, 40, 2, 5, 2],
    [6, 80, 3, 3, 2],
    [6, 112, 3, 5, 1],
    [6, 192, 4, 5, 2],
    [6, 320, 1, 3, 1],
  ]) {
    for (let i = 0; i < count; ++i) {
      const narrow = excitedResidual(b, x, {expansion, filters, size, strides: i === 0 ? strides : 1});
      x = i > 0 ? add(narrow, x) : narrow;
    }
  }
  return b.dense(average(silu(b.batchNorm(b.conv(x, 1280)))), 1000, 'softmax');
}

interface Block {
  readonly expansion: number;
  readonly filters: number;
  readonly size: number;
  readonly strides: number;
}

function excitedResidual(b: KerasBuilder, x: Node, {expansion, filters, size, strides}: Block): Node {
  const [, height, , channels] = x.shape as number[];
  const wide = expansion * channels;
  if (expansion > 1) x = silu(b.batchNorm(b.conv(x, wide)));
  if (strides === 2) {
    // Keras pads so that an even side gets one row less before than behind.
    const after = size >> 1;
    x = zeroPadding(x, [after - (1 - (height % 2)), after]);
  }
  x = silu(b.batchNorm(b.depthwise(x, {size, strides, padding: strides === 2 ? 'valid' : 'same'})));
  const squeezed = reshape(average(x), 1, 1, wide);
  const narrow = b.conv(squeezed, Math.max(1, channels >> 2), {bias: true, activation: 'swish'});
  const factors = b.conv(narrow, wide, {bias: true, activation: 'sigmoid'});
  return b.batchNorm(b.conv(apply(layers.multiply(), [x, factors]), filters));
}

/** Ronneberger et al., 2015: half its channels, 'same' padding, batch norms. */
function uNet(b: KerasBuilder, x: Node): Node {
  const convolved = (from: Node, filters: number) => relu(b.batchNorm(b.conv(from, filters, {size: 3})));
  const twice = (from: Node, filters: number) => convolved(convolved(from, filters), filters);
  const skips: Node[] = [];
  for (const filters of [32, 64, 128, 256]) {
    x = twice(x, filters);
    skips.push(x);
    x = maxPool(x, 2, 2);
  }
  x = twice(x, 512);
  for (const filters of [256, 128, 64, 32]) {
    x = twice(concat([skips.pop() as Node, b.transposed(x, filters)]), filters);
  }
  return b.conv(x, 1, {bias: true, activation: 'sigmoid'});
}

const CLASSES = 80;

/** Like YOLOv8n (Jocher et al., 2023), boxes not decoded: a split of channels is two convolutions here. */
function yoloV8n(b: KerasBuilder, x: Node): Node {
  const conv = (from: Node, filters: number, size = 1, strides = 1) =>
    silu(b.batchNorm(b.conv(from, filters, {size, strides})));
  const c2f = (from: Node, filters: number, count: number, shortcut: boolean) => {
    const half = filters / 2;
    const parts = [conv(from, half), conv(from, half)];
    for (let i = 0; i < count; ++i) {
      const last = parts[parts.length - 1];
      const out = conv(conv(last, half, 3), half, 3);
      parts.push(shortcut ? add(last, out) : out);
    }
    return conv(concat(parts), filters);
  };
  const levels: Node[] = [];
  x = conv(x, 16, 3, 2);
  for (const [filters, count] of [
    [32, 1],
    [64, 2],
    [128, 2],
    [256, 1],
  ]) {
    x = c2f(conv(x, filters, 3, 2), filters, count, true);
    levels.push(x);
  }
  const pooled = [conv(x, 128)];
  for (let i = 0; i < 3; ++i) pooled.push(maxPool(pooled[i], 5, 1));
  const coarse = conv(concat(pooled), 256);
  const [, fine, middle] = levels;
  const up = c2f(concat([upsample(coarse), middle]), 128, 1, false);
  const p3 = c2f(concat([upsample(up), fine]), 64, 1, false);
  const p4 = c2f(concat([conv(p3, 64, 3, 2), up]), 128, 1, false);
  const p5 = c2f(concat([conv(p4, 128, 3, 2), coarse]), 256, 1, false);
  const rows = [p3, p4, p5].map((from) => {
    const branch = (inner: number, filters: number) =>
      b.conv(conv(conv(from, inner, 3), inner, 3), filters, {bias: true});
    const [, height, width] = from.shape as number[];
    return reshape(concat([branch(64, 64), branch(CLASSES, CLASSES)]), height * width, 64 + CLASSES);
  });
  return concat(rows, 1);
}

type Build = (b: KerasBuilder, x: Node) => Node;

const keras = (name: keyof typeof KERAS_NETWORKS): [number, number, Build] => [224, ...KERAS_NETWORKS[name]];

/** Side of the input, the batch norms' epsilon, and how it is built. */
const NETWORKS: Record<string, readonly [number, number, Build]> = {
  'BlazeFace-like 128': [128, 1e-3, blazeFace],
  'MobileNetV2 224': keras('Keras MobileNetV2 224'),
  'MobileNetV1 224': keras('Keras MobileNetV1 224'),
  'EfficientNetB0 224': [224, 1e-3, efficientNetB0],
  'ResNet-50 224': keras('Keras ResNet-50 224'),
  'U-Net 256': [256, 1e-3, uNet],
  'YOLOv8n-like 640': [640, 1e-3, yoloV8n],
  'VGG-16 224': keras('Keras VGG-16 224'),
};

export const NETWORK_NAMES: readonly string[] = Object.keys(NETWORKS);

/** The same weights and the same input at each call. */
export function buildNetwork(name: string): {network: LayersModel; x: tf.Tensor4D} {
  const [side, epsilon, build] = NETWORKS[name];
  const inputs = input({batchShape: [1, side, side, 3]});
  const network = model({inputs, outputs: build(new KerasBuilder(epsilon), inputs)});
  const x = tf.randomUniform([1, side, side, 3], -1, 1, 'float32', 7) as tf.Tensor4D;
  normalize(network, x);
  return {network, x};
}

/** Gives the batch norms the statistics of what they meet, so that values keep their size through any activation. */
function normalize(network: LayersModel, x: tf.Tensor): void {
  for (const layer of network.layers) {
    // As after a step of training that forgets all before it.
    if (layer.getClassName() === 'BatchNormalization') Object.assign(layer, {momentum: 0});
  }
  tf.tidy(() => network.apply(x, {training: true}) as tf.Tensor);
}
