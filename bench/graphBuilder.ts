// Graph models with seeded weights: batch norms folded into the convolutions before them, biases and clamps fused,
// everything else an op of its own.
import {type ConvOptions, type Fused, GraphWriter, type Value} from './graphWriter.ts';
import {uniform} from './random.ts';

/** Ops in the order in which they are added; weights are numbered, so that they repeat. */
export class GraphBuilder extends GraphWriter {
  private readonly gain: number;

  /**
   * @param gain The variance of a weight times how many products a sum has: what keeps the values' size from layer to
   *     layer depends on the activation between them.
   */
  constructor(gain: number) {
    super();
    this.gain = gain;
  }

  /** With a bias, 'SAME' unless `valid`. */
  conv(
    x: Value,
    filters: number,
    {size = 1, strides = 1, valid = false, fused}: ConvOptions & {fused?: Fused} = {},
  ): Value {
    const shape = [size, size, x.shape[3], filters];
    const filter = this.random(shape, size * size * x.shape[3]);
    return this.convolution('_FusedConv2D', [x, filter, this.bias(filters)], {size, strides, valid, fused});
  }

  /** The sum over channels, each times its weight: a 1×1 convolution that is not fused. */
  weightedSum(x: Value, weights: ArrayLike<number>): Value {
    const filter = this.constant([1, 1, weights.length, 1], weights);
    return this.convolution('Conv2D', [x, filter], {size: 1, strides: 1, valid: true});
  }

  depthwise(x: Value, {size = 3, strides = 1, valid = false}: ConvOptions = {}): Value {
    const filter = this.random([size, size, x.shape[3], 1], size * size);
    const inputs = [x, filter, this.bias(x.shape[3])];
    return this.convolution('FusedDepthwiseConv2dNative', inputs, {size, strides, valid});
  }

  /** Of small weights: what follows is a softmax, which is 1 for one class where values are large. */
  dense(x: Value, units: number): Value {
    const inputs = [x, this.random([x.shape[1], units], 100 * x.shape[1]), this.bias(units)];
    return this.product('_FusedMatMul', inputs);
  }

  silu(x: Value): Value {
    return this.binary('Mul', x, this.unary('Sigmoid', x));
  }

  private random(shape: readonly number[], products: number): Value {
    const count = shape.reduce((a, b) => a * b, 1);
    // A uniform distribution's variance is a third of its range's square.
    const values = uniform(count, this.weights.length, Math.sqrt((3 * this.gain) / products));
    return this.weight(shape, 'float32', values.buffer);
  }

  private bias(channels: number): Value {
    return this.weight([channels], 'float32', uniform(channels, this.weights.length, 0.2).buffer);
  }
}
