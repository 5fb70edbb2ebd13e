// Layers models as Keras's applications are.
import * as tf from '@tensorflow/tfjs-core';
import {input, type LayersModel, layers, model} from '@tensorflow/tfjs-layers';
import {add, apply, average, KerasBuilder, type Node, relu, relu6, zeroPadding} from './kerasBuilder.ts';

/** Rows and columns are padded behind where it strides. */
function depthwise(b: KerasBuilder, x: Node, strides: number): Node {
  return strides === 1 ? b.depthwise(x) : b.depthwise(zeroPadding(x, [0, 1]), {strides, padding: 'valid'});
}

/** Its classifier is a convolution of one pixel. */
function mobileNetV1(b: KerasBuilder, x: Node): Node {
  x = b.conv(zeroPadding(x, [0, 1]), 32, {size: 3, strides: 2, padding: 'valid'});
  x = relu6(b.batchNorm(x));
  for (const [filters, strides] of [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array(5).fill([512, 1]),
    [1024, 2],
    [1024, 1],
  ]) {
    x = relu6(b.batchNorm(depthwise(b, x, strides)));
    x = relu6(b.batchNorm(b.conv(x, filters)));
  }
  x = apply(layers.reshape({targetShape: [1, 1, 1024]}), average(x));
  x = apply(layers.dropout({rate: 1e-3}), x);
  x = apply(layers.reshape({targetShape: [1000]}), b.conv(x, 1000, {bias: true}));
  return apply(layers.activation({activation: 'softmax'}), x);
}

function mobileNetV2(b: KerasBuilder, x: Node): Node {
  x = relu6(b.batchNorm(b.conv(x, 32, {size: 3, strides: 2})));
  let channels = 32;
  for (const [expansion, filters, count, strides] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ]) {
    for (let i = 0; i < count; ++i) {
      const wide = expansion === 1 ? x : relu6(b.batchNorm(b.conv(x, expansion * channels)));
      const deep = relu6(b.batchNorm(depthwise(b, wide, i === 0 ? strides : 1)));
      const narrow = b.batchNorm(b.conv(deep, filters), i > 0 ? RESIDUAL_GAMMA : 1);
      x = i > 0 ? add(x, narrow) : narrow;
      channels = filters;
    }
  }
  return b.dense(average(relu6(b.batchNorm(b.conv(x, 1280)))), 1000, 'softmax');
}

// What is added to a sum again and again is kept small, as training does.
const RESIDUAL_GAMMA = 0.3;

/** Its convolutions have biases, and the first of a stage's strides. */
function resNet50(b: KerasBuilder, x: Node): Node {
  const conv = (from: Node, filters: number, options: {size?: number; strides?: number} = {}, gamma = 1) =>
    b.batchNorm(b.conv(from, filters, {bias: true, ...options}), gamma);
  x = b.conv(zeroPadding(x, [3, 3]), 64, {size: 7, strides: 2, padding: 'valid', bias: true});
  x = zeroPadding(relu(b.batchNorm(x)), [1, 1]);
  x = apply(layers.maxPooling2d({poolSize: 3, strides: 2}), x);
  [3, 4, 6, 3].forEach((count, stage) => {
    const filters = 64 * 2 ** stage;
    for (let i = 0; i < count; ++i) {
      const strides = i === 0 && stage > 0 ? 2 : 1;
      const shortcut = i === 0 ? conv(x, 4 * filters, {strides}) : x;
      const narrow = relu(conv(relu(conv(x, filters, {strides})), filters, {size: 3}));
      x = relu(add(shortcut, conv(narrow, 4 * filters, {}, RESIDUAL_GAMMA)));
    }
  });
  return b.dense(average(x), 1000, 'softmax');
}

/** With its dense layers, which hold nine tenths of the weights. */
function vgg16(b: KerasBuilder, x: Node): Node {
  for (const [filters, count] of [
    [64, 2],
    [128, 2],
    [256, 3],
    [512, 3],
    [512, 3],
  ]) {
    for (let i = 0; i < count; ++i) x = b.convRelu(x, filters);
    x = apply(layers.maxPooling2d({poolSize: 2, strides: 2}), x);
  }
  x = b.dense(b.dense(apply(layers.flatten(), x), 4096, 'relu'), 4096, 'relu');
  return b.dense(x, 1000, 'softmax');
}

/** Name, its batch norms' epsilon, and how it is built. */
export const KERAS_NETWORKS = {
  'Keras MobileNetV1 224': [1e-3, mobileNetV1],
  'Keras MobileNetV2 224': [1e-3, mobileNetV2],
  'Keras ResNet-50 224': [1.001e-5, resNet50],
  'Keras VGG-16 224': [1e-3, vgg16],
} as const;

export function buildKerasNetwork(name: keyof typeof KERAS_NETWORKS): {network: LayersModel; x: tf.Tensor} {
  const [epsilon, build] = KERAS_NETWORKS[name];
  const inputs = input({shape: [224, 224, 3]});
  const network = model({inputs, outputs: build(new KerasBuilder(epsilon), inputs)});
  return {network, x: tf.randomUniform([1, 224, 224, 3], -1, 1, 'float32', 7)};
}
