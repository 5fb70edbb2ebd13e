// Layers models as Keras's applications are: padding and batch norms are layers of their own. Weights are seeded, and
// so are the batch norms' statistics.
import * as tf from '@tensorflow/tfjs-core';
import {
  initializers,
  input,
  type LayersModel,
  layers,
  model,
  type SymbolicTensor,
} from '@tensorflow/tfjs-layers';
import {uniform} from './random.ts';

type Node = SymbolicTensor;
type Initializer = ReturnType<typeof initializers.zeros>;

/** Layers by Keras's defaults; weights are numbered, so that they repeat. */
class KerasBuilder {
  private seed = 0;
  private readonly epsilon: number;

  /** @param epsilon Of the batch norms. */
  constructor(epsilon: number) {
    this.epsilon = epsilon;
  }

  /** Without a bias, as before a batch norm. */
  conv(
    x: Node,
    filters: number,
    {size = 1, strides = 1, padding = 'same' as 'same' | 'valid', bias = false} = {},
  ) {
    const products = size * size * (x.shape[3] as number);
    return apply(
      layers.conv2d({
        filters,
        kernelSize: size,
        strides,
        padding,
        useBias: bias,
        kernelInitializer: this.weights(products),
        biasInitializer: this.around(0, 0.2),
      }),
      x,
    );
  }

  convRelu(x: Node, filters: number): Node {
    return apply(
      layers.conv2d({
        filters,
        kernelSize: 3,
        padding: 'same',
        activation: 'relu',
        kernelInitializer: this.weights(9 * (x.shape[3] as number)),
        biasInitializer: this.around(0, 0.2),
      }),
      x,
    );
  }

  depthwise(x: Node, strides: number): Node {
    return apply(
      layers.depthwiseConv2d({
        kernelSize: 3,
        strides,
        padding: strides === 1 ? 'same' : 'valid',
        useBias: false,
        depthwiseInitializer: this.weights(9),
      }),
      strides === 1 ? x : zeroPadding(x, [0, 1]),
    );
  }

  /** @param gamma What its factors are around. */
  batchNorm(x: Node, gamma = 1): Node {
    return apply(
      layers.batchNormalization({
        epsilon: this.epsilon,
        gammaInitializer: this.around(gamma, 0.4 * gamma),
        betaInitializer: this.around(0.1, 0.4),
        movingMeanInitializer: this.around(0, 0.2),
        movingVarianceInitializer: this.around(1, 0.5),
      }),
      x,
    );
  }

  dense(x: Node, units: number, activation: 'relu' | 'softmax'): Node {
    const products = x.shape[1] as number;
    // A softmax of large values is 1 for one class, whatever the others are.
    const kernelInitializer = this.weights(activation === 'softmax' ? 100 * products : products);
    return apply(
      layers.dense({units, activation, kernelInitializer, biasInitializer: this.around(0, 0.2)}),
      x,
    );
  }

  /** He's initialisation: what keeps the values' size through ReLUs. */
  private weights(products: number): Initializer {
    return this.around(0, Math.sqrt(6 / products));
  }

  // tfjs's own initializers take seconds for a hundred million values.
  private around(middle: number, range: number): Initializer {
    const seed = this.seed++;
    const initializer = initializers.zeros();
    initializer.apply = (shape) => {
      const values = uniform(tf.util.sizeFromShape(shape as number[]), seed, range);
      if (middle !== 0) for (let i = 0; i < values.length; ++i) values[i] += middle;
      return tf.tensor(values, shape as number[]);
    };
    return initializer;
  }
}

const apply = (layer: layers.Layer, x: Node | Node[]) => layer.apply(x) as Node;
const add = (a: Node, b: Node) => apply(layers.add(), [a, b]);
const relu = (x: Node) => apply(layers.activation({activation: 'relu'}), x);
const relu6 = (x: Node) => apply(layers.reLU({maxValue: 6}), x);
const zeroPadding = (x: Node, rows: [number, number]) =>
  apply(layers.zeroPadding2d({padding: [rows, rows]}), x);
const average = (x: Node) => apply(layers.globalAveragePooling2d({}), x);

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
    x = relu6(b.batchNorm(b.depthwise(x, strides)));
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
      const deep = relu6(b.batchNorm(b.depthwise(wide, i === 0 ? strides : 1)));
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
