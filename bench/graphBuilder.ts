// Graph models as tfjs's converter writes them: batch norms folded into the convolutions before them, biases and
// clamps fused, everything else an op of its own.
import type * as tf from '@tensorflow/tfjs-core';
import {uniform} from './random.ts';

/** An op's output, batch included. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What a fused convolution or product ends in. */
type Fused = 'Relu' | 'Relu6';

type Attribute = Record<string, unknown>;

const text = (value: string): Attribute => ({s: Buffer.from(value).toString('base64')});
const integers = (values: readonly number[]): Attribute => ({list: {i: values.map(String)}});
const FLOAT: Attribute = {type: 'DT_FLOAT'};

/** Ops in the order in which they are added; weights are numbered, so that they repeat. */
export class GraphBuilder {
  private readonly nodes: object[] = [];
  private readonly weights: {name: string; shape: number[]; dtype: 'float32' | 'int32'; data: ArrayBuffer}[] =
    [];

  private readonly gain: number;

  /**
   * @param gain The variance of a weight times how many products a sum has: what keeps the values' size from layer to
   *     layer depends on the activation between them.
   */
  constructor(gain: number) {
    this.gain = gain;
  }

  input(shape: readonly number[]): Value {
    const dim = shape.map((size) => ({size: String(size)}));
    return this.op('Placeholder', [], {dtype: FLOAT, shape: {shape: {dim}}}, shape);
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
    const attributes = {...strided(1), padding: text('VALID'), dilations: integers([1, 1, 1, 1])};
    return this.op('Conv2D', [x, filter], attributes, withSize(x.shape, 3, 1));
  }

  depthwise(x: Value, {size = 3, strides = 1, valid = false}: ConvOptions = {}): Value {
    const filter = this.random([size, size, x.shape[3], 1], size * size);
    const inputs = [x, filter, this.bias(x.shape[3])];
    return this.convolution('FusedDepthwiseConv2dNative', inputs, {size, strides, valid});
  }

  /** Of small weights: what follows is a softmax, which is 1 for one class where values are large. */
  dense(x: Value, units: number): Value {
    const inputs = [x, this.random([x.shape[1], units], 100 * x.shape[1]), this.bias(units)];
    const attributes = {transpose_a: {b: false}, transpose_b: {b: false}, ...fusedOps()};
    return this.op('_FusedMatMul', inputs, {T: FLOAT, ...attributes}, [x.shape[0], units]);
  }

  unary(op: 'Sigmoid' | 'Softmax', x: Value): Value {
    return this.op(op, [x], {T: FLOAT}, x.shape);
  }

  /** The first one has the output's shape; the other is of the same, or broadcast. */
  binary(op: 'AddV2' | 'Mul' | 'Sub', x: Value, y: Value): Value {
    return this.op(op, [x, y], {T: FLOAT}, x.shape);
  }

  silu(x: Value): Value {
    return this.binary('Mul', x, this.unary('Sigmoid', x));
  }

  /** Rows and columns of zeros, before and after. */
  pad(x: Value, before: number, after: number): Value {
    const paddings = this.integer([4, 2], [0, 0, before, after, before, after, 0, 0]);
    const [batch, height, width, channels] = x.shape;
    const more = before + after;
    return this.op('Pad', [x, paddings], {T: FLOAT}, [batch, height + more, width + more, channels]);
  }

  /** Over the image, without its dimensions. */
  mean(x: Value): Value {
    const axes = this.integer([2], [1, 2]);
    return this.op('Mean', [x, axes], {T: FLOAT, keep_dims: {b: false}}, [x.shape[0], x.shape[3]]);
  }

  maxPool(x: Value, size: number, strides: number): Value {
    const [batch, height, width, channels] = x.shape;
    const shape = [batch, Math.ceil(height / strides), Math.ceil(width / strides), channels];
    const attributes = {...strided(strides), padding: text('SAME'), ksize: integers([1, size, size, 1])};
    return this.op('MaxPool', [x], attributes, shape);
  }

  /** Twice as high and wide, each pixel four times. */
  upsample(x: Value): Value {
    const [batch, height, width, channels] = x.shape;
    const size = this.integer([2], [2 * height, 2 * width]);
    const attributes = {T: FLOAT, align_corners: {b: false}, half_pixel_centers: {b: true}};
    const shape = [batch, 2 * height, 2 * width, channels];
    return this.op('ResizeNearestNeighbor', [x, size], attributes, shape);
  }

  reshape(x: Value, shape: readonly number[]): Value {
    return this.op('Reshape', [x, this.integer([shape.length], shape)], {T: FLOAT}, shape);
  }

  transpose(x: Value, permutation: readonly number[]): Value {
    const inputs = [x, this.integer([permutation.length], permutation)];
    return this.op(
      'Transpose',
      inputs,
      {T: FLOAT},
      permutation.map((axis) => x.shape[axis]),
    );
  }

  split(x: Value, sizes: readonly number[], axis: number): Value[] {
    const inputs = [x, this.integer([sizes.length], sizes), this.integer([], [axis])];
    const {name} = this.op('SplitV', inputs, {T: FLOAT, num_split: {i: String(sizes.length)}}, x.shape);
    return sizes.map((size, i) => ({
      name: i === 0 ? name : `${name}:${i}`,
      shape: withSize(x.shape, axis, size),
    }));
  }

  concat(values: readonly Value[], axis: number): Value {
    const size = values.reduce((sum, {shape}) => sum + shape[axis], 0);
    const attributes = {T: FLOAT, N: {i: String(values.length)}};
    const inputs = [...values, this.integer([], [axis])];
    return this.op('ConcatV2', inputs, attributes, withSize(values[0].shape, axis, size));
  }

  constant(shape: readonly number[], values: ArrayLike<number>): Value {
    return this.weight(shape, 'float32', Float32Array.from(values).buffer);
  }

  /** What tfjs's loaders take. */
  build(): tf.io.IOHandler {
    const artifacts: tf.io.ModelArtifacts = {
      format: 'graph-model',
      modelTopology: {node: this.nodes, library: {}, versions: {producer: 1}},
      weightSpecs: this.weights.map(({name, shape, dtype}) => ({name, shape, dtype})),
      weightData: this.weights.map(({data}) => data),
    };
    return {load: async () => artifacts};
  }

  private convolution(
    op: string,
    inputs: readonly Value[],
    {size, strides, valid, fused}: Required<ConvOptions> & {fused?: Fused},
  ): Value {
    const [x, , bias] = inputs;
    const side = (length: number) => Math.ceil((length - (valid ? size - 1 : 0)) / strides);
    const attributes = {
      ...strided(strides),
      dilations: integers([1, 1, 1, 1]),
      padding: text(valid ? 'VALID' : 'SAME'),
      ...fusedOps(fused),
    };
    return this.op(op, inputs, attributes, [x.shape[0], side(x.shape[1]), side(x.shape[2]), bias.shape[0]]);
  }

  private op(op: string, inputs: readonly Value[], attr: Attribute, shape: readonly number[]): Value {
    const name = `${op}_${this.nodes.length}`;
    this.nodes.push({name, op, input: inputs.map((value) => value.name), attr});
    return {name, shape};
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

  private integer(shape: readonly number[], values: readonly number[]): Value {
    return this.weight(shape, 'int32', Int32Array.from(values).buffer);
  }

  private weight(shape: readonly number[], dtype: 'float32' | 'int32', data: ArrayBuffer): Value {
    const tensor = {
      dtype: dtype === 'float32' ? 'DT_FLOAT' : 'DT_INT32',
      tensorShape: {dim: shape.map((size) => ({size: String(size)}))},
    };
    const value = this.op('Const', [], {dtype: {type: tensor.dtype}, value: {tensor}}, shape);
    this.weights.push({name: value.name, shape: [...shape], dtype, data});
    return value;
  }
}

interface ConvOptions {
  readonly size?: number;
  readonly strides?: number;
  readonly valid?: boolean;
}

function fusedOps(fused?: Fused): Attribute {
  const ops = ['BiasAdd', ...(fused === undefined ? [] : [fused])];
  return {fused_ops: {list: {s: ops.map((op) => text(op).s)}}, num_args: {i: '1'}, epsilon: {f: 0}};
}

function strided(strides: number): Attribute {
  return {T: FLOAT, strides: integers([1, strides, strides, 1]), data_format: text('NHWC')};
}

function withSize(shape: readonly number[], axis: number, size: number): number[] {
  return shape.map((old, i) => (i === axis ? size : old));
}
