// Layers as Keras's applications put them together: padding and batch norms are layers of their own. Weights are seeded, and
// so are the batch norms' statistics.
import * as tf from '@tensorflow/tfjs-core';
import {initializers, layers, type SymbolicTensor} from '@tensorflow/tfjs-layers';
import {uniform} from './random.ts';

export type Node = SymbolicTensor;
type Initializer = ReturnType<typeof initializers.zeros>;

interface ConvolutionOptions {
  readonly size?: number;
  readonly strides?: number;
  readonly padding?: 'same' | 'valid';
  readonly bias?: boolean;
  readonly activation?: 'relu' | 'sigmoid' | 'swish';
  readonly gain?: number;
}

/** Layers by Keras's defaults; weights are numbered, so that they repeat. */
export class KerasBuilder {
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
    {size = 1, strides = 1, padding = 'same', bias = false, activation, gain}: ConvolutionOptions = {},
  ): Node {
    return apply(
      layers.conv2d({
        filters,
        kernelSize: size,
        strides,
        padding,
        activation,
        useBias: bias,
        kernelInitializer: this.weights(size * size * (x.shape[3] as number), gain),
        biasInitializer: this.around(0, 0.2),
      }),
      x,
    );
  }

  convRelu(x: Node, filters: number): Node {
    return this.conv(x, filters, {size: 3, bias: true, activation: 'relu'});
  }

  depthwise(
    x: Node,
    {
      size = 3,
      strides = 1,
      padding = 'same',
      bias = false,
      gain,
    }: Omit<ConvolutionOptions, 'activation'> = {},
  ): Node {
    const depthwiseInitializer = this.weights(size * size, gain);
    return apply(
      layers.depthwiseConv2d({
        kernelSize: size,
        strides,
        padding,
        useBias: bias,
        depthwiseInitializer,
        // What has no bias takes no number.
        ...(bias ? {biasInitializer: this.around(0, 0.2)} : {}),
      }),
      x,
    );
  }

  /** Twice as high and wide; with a bias. */
  transposed(x: Node, filters: number): Node {
    return apply(
      layers.conv2dTranspose({
        filters,
        kernelSize: 2,
        strides: 2,
        padding: 'same',
        kernelInitializer: this.weights(x.shape[3] as number),
        biasInitializer: this.around(0, 0.2),
      }),
      x,
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

  /** @param gain The variance times how many products a sum has: 2, He's, keeps the values' size through ReLUs. */
  private weights(products: number, gain = 2): Initializer {
    // A uniform distribution's variance is a third of its range's square.
    return this.around(0, Math.sqrt((3 * gain) / products));
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

export const apply = (layer: layers.Layer, x: Node | Node[]) => layer.apply(x) as Node;
export const add = (a: Node, b: Node) => apply(layers.add(), [a, b]);
export const relu = (x: Node) => apply(layers.activation({activation: 'relu'}), x);
export const relu6 = (x: Node) => apply(layers.reLU({maxValue: 6}), x);
export const zeroPadding = (x: Node, rows: [number, number]) =>
  apply(layers.zeroPadding2d({padding: [rows, rows]}), x);
export const average = (x: Node) => apply(layers.globalAveragePooling2d({}), x);
