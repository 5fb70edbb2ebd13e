// Graph models as tfjs's converter writes them, op by op.
import type * as tf from '@tensorflow/tfjs-core';

/** An op's output, batch included. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What a fused convolution or product ends in. */
export type Fused = 'Relu' | 'Relu6';

export type Attribute = Record<string, unknown>;

export const text = (value: string): Attribute => ({s: Buffer.from(value).toString('base64')});
export const integers = (values: readonly number[]): Attribute => ({list: {i: values.map(String)}});
export const FLOAT: Attribute = {type: 'DT_FLOAT'};

/** Ops in the order in which they are added. */
export class GraphWriter {
  private readonly nodes: object[] = [];
  protected readonly weights: {
    name: string;
    shape: number[];
    dtype: 'float32' | 'int32';
    data: ArrayBuffer;
  }[] = [];

  input(shape: readonly number[]): Value {
    const dim = shape.map((size) => ({size: String(size)}));
    return this.op('Placeholder', [], {dtype: FLOAT, shape: {shape: {dim}}}, shape);
  }

  unary(op: 'Sigmoid' | 'Softmax' | Fused, x: Value): Value {
    return this.op(op, [x], {T: FLOAT}, x.shape);
  }

  /** The first one has the output's shape; the other is of the same, or broadcast. */
  binary(op: 'AddV2' | 'BiasAdd' | 'Mul' | 'Sub', x: Value, y: Value): Value {
    return this.op(op, [x, y], {T: FLOAT}, x.shape);
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

  /** 'SAME' unless `valid`. */
  maxPool(x: Value, {size = 1, strides = 1, valid = false}: ConvOptions): Value {
    const attributes = {...strided(strides), ...padding(valid), ksize: integers([1, size, size, 1])};
    return this.op('MaxPool', [x], attributes, slid(x.shape, {size, strides, valid}, x.shape[3]));
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
    return this.weight(shape, 'float32', new Float32Array(values).buffer);
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

  /** Of a filter, and a bias where the op takes one. */
  convolution(
    op: string,
    [x, filter, ...bias]: readonly Value[],
    {size, strides, valid, fused}: Required<ConvOptions> & {fused?: Fused},
  ): Value {
    const attributes = {
      ...strided(strides),
      dilations: integers([1, 1, 1, 1]),
      ...padding(valid),
      ...(bias.length > 0 ? fusedOps(fused) : {}),
    };
    const channels = op.includes('epthwise') ? x.shape[3] : filter.shape[3];
    return this.op(op, [x, filter, ...bias], attributes, slid(x.shape, {size, strides, valid}, channels));
  }

  product(op: '_FusedMatMul' | 'MatMul', inputs: readonly Value[], fused?: Fused): Value {
    const attributes = {transpose_a: {b: false}, transpose_b: {b: false}};
    const [x, weights, bias] = inputs;
    const shape = [x.shape[0], weights.shape[1]];
    return this.op(op, inputs, {T: FLOAT, ...attributes, ...(bias ? fusedOps(fused) : {})}, shape);
  }

  /** Of windows that do not overlap. */
  transposed(x: Value, filter: Value, strides: number): Value {
    const [batch, height, width] = x.shape;
    const shape = [batch, strides * height, strides * width, filter.shape[2]];
    const attributes = {...strided(strides), dilations: integers([1, 1, 1, 1]), ...padding(false)};
    return this.op('Conv2DBackpropInput', [this.integer([4], shape), filter, x], attributes, shape);
  }

  private op(op: string, inputs: readonly Value[], attr: Attribute, shape: readonly number[]): Value {
    const name = `${op}_${this.nodes.length}`;
    this.nodes.push({name, op, input: inputs.map((value) => value.name), attr});
    return {name, shape};
  }

  protected integer(shape: readonly number[], values: readonly number[]): Value {
    return this.weight(shape, 'int32', Int32Array.from(values).buffer);
  }

  protected weight(shape: readonly number[], dtype: 'float32' | 'int32', data: ArrayBuffer): Value {
    const tensor = {
      dtype: dtype === 'float32' ? 'DT_FLOAT' : 'DT_INT32',
      tensorShape: {dim: shape.map((size) => ({size: String(size)}))},
    };
    const value = this.op('Const', [], {dtype: {type: tensor.dtype}, value: {tensor}}, shape);
    this.weights.push({name: value.name, shape: [...shape], dtype, data});
    return value;
  }
}

export interface ConvOptions {
  readonly size?: number;
  readonly strides?: number;
  readonly valid?: boolean;
}

function fusedOps(fused?: Fused): Attribute {
  const ops = ['BiasAdd', ...(fused === undefined ? [] : [fused])];
  return {fused_ops: {list: {s: ops.map((op) => text(op).s)}}, num_args: {i: '1'}, epsilon: {f: 0}};
}

export function strided(strides: number): Attribute {
  return {T: FLOAT, strides: integers([1, strides, strides, 1]), data_format: text('NHWC')};
}

function withSize(shape: readonly number[], axis: number, size: number): number[] {
  return shape.map((old, i) => (i === axis ? size : old));
}

const padding = (valid: boolean): Attribute => ({padding: text(valid ? 'VALID' : 'SAME')});

/** The shape of what a window that slides over an image gives. */
function slid(shape: readonly number[], {size, strides, valid}: Required<ConvOptions>, channels: number) {
  const side = (length: number) => Math.ceil((length - (valid ? size - 1 : 0)) / strides);
  return [shape[0], side(shape[1]), side(shape[2]), channels];
}
