// Writes TFLite models. Field numbers and codes are those of tensorflow/lite/schema/schema.fbs.
import {Builder} from 'flatbuffers';

/** Operators: their code, the options that they take, and the version in which they are as the writers use them. */
const OPERATORS = {
  add: {code: 0, options: 11, version: 1},
  mean: {code: 40, options: 27, version: 1},
  concatenation: {code: 2, options: 10, version: 1},
  conv2d: {code: 3, options: 1, version: 1},
  depthwiseConv2d: {code: 4, options: 2, version: 1},
  fullyConnected: {code: 9, options: 8, version: 1},
  logistic: {code: 14, options: 0, version: 1},
  maxPool2d: {code: 17, options: 5, version: 1},
  mul: {code: 18, options: 21, version: 1},
  pad: {code: 34, options: 22, version: 1},
  relu: {code: 19, options: 0, version: 1},
  relu6: {code: 21, options: 0, version: 1},
  reshape: {code: 22, options: 17, version: 1},
  resizeNearestNeighbor: {code: 97, options: 74, version: 3},
  softmax: {code: 25, options: 9, version: 1},
  transposeConv: {code: 67, options: 49, version: 3},
} as const;

export type OperatorName = keyof typeof OPERATORS;

export const PADDING = {same: 0, valid: 1} as const;
export const ACTIVATION = {none: 0, relu: 1, relu6: 3} as const;

/** An option in the order of the schema. */
type Option = readonly ['byte' | 'int' | 'float', number];

export const byte = (value: number): Option => ['byte', value];
export const int = (value: number): Option => ['int', value];
export const float = (value: number): Option => ['float', value];

/** A tensor's number in the model. */
export type TensorIndex = number;

interface Operator {
  readonly inputs: readonly TensorIndex[];
  readonly output: TensorIndex;
  readonly options?: readonly Option[];
}

const FLOAT32 = 0;
const INT32 = 2;

export class TfliteModel {
  private readonly b: Builder;
  private readonly buffers: number[] = [];
  private readonly tensors: number[] = [];
  private readonly operators: number[] = [];
  private readonly used: OperatorName[] = [];

  /** @param bytes Of the constants, about. */
  constructor(bytes: number) {
    this.b = new Builder(bytes + 2 ** 16);
    // Number 0 is that of tensors that are computed.
    this.buffers.push(this.buffer());
  }

  /** With values it is a constant. */
  tensor(name: string, shape: readonly number[], values?: Float32Array | Int32Array): TensorIndex {
    const {b} = this;
    const buffer = values === undefined ? 0 : this.buffers.push(this.buffer(values)) - 1;
    const nameOffset = b.createString(name);
    const shapeOffset = this.ints(shape);
    b.startObject(4);
    b.addFieldOffset(0, shapeOffset, 0);
    b.addFieldInt8(1, values instanceof Int32Array ? INT32 : FLOAT32, 0);
    b.addFieldInt32(2, buffer, 0);
    b.addFieldOffset(3, nameOffset, 0);
    return this.tensors.push(b.endObject()) - 1;
  }

  operator(name: OperatorName, {inputs, output, options = []}: Operator): void {
    const {b} = this;
    const kind = OPERATORS[name].options;
    if (!this.used.includes(name)) this.used.push(name);
    b.startObject(options.length);
    options.forEach(([type, value], slot) => {
      // What is 0 is left out; the schema's own default is another only where 0 makes no sense.
      if (type === 'byte') b.addFieldInt8(slot, value, 0);
      else if (type === 'int') b.addFieldInt32(slot, value, 0);
      else b.addFieldFloat32(slot, value, 0);
    });
    const optionsOffset = b.endObject();
    const inputsOffset = this.ints(inputs);
    const outputsOffset = this.ints([output]);
    b.startObject(5);
    b.addFieldInt32(0, this.used.indexOf(name), 0);
    b.addFieldOffset(1, inputsOffset, 0);
    b.addFieldOffset(2, outputsOffset, 0);
    b.addFieldInt8(3, kind, 0);
    if (kind !== 0) b.addFieldOffset(4, optionsOffset, 0);
    this.operators.push(b.endObject());
  }

  build(input: TensorIndex, output: TensorIndex): Uint8Array {
    const {b} = this;
    const buffers = this.offsets(this.buffers);
    const tensors = this.offsets(this.tensors);
    const operators = this.offsets(this.operators);
    const inputs = this.ints([input]);
    const outputs = this.ints([output]);
    b.startObject(4);
    b.addFieldOffset(0, tensors, 0);
    b.addFieldOffset(1, inputs, 0);
    b.addFieldOffset(2, outputs, 0);
    b.addFieldOffset(3, operators, 0);
    const subgraphs = this.offsets([b.endObject()]);
    const operatorCodes = this.offsets(this.used.map((name) => this.operatorCode(name)));
    b.startObject(5);
    b.addFieldInt32(0, 3, 0);
    b.addFieldOffset(1, operatorCodes, 0);
    b.addFieldOffset(2, subgraphs, 0);
    b.addFieldOffset(4, buffers, 0);
    b.finish(b.endObject(), 'TFL3');
    return b.asUint8Array();
  }

  private operatorCode(name: OperatorName): number {
    const {code, version} = OPERATORS[name];
    this.b.startObject(4);
    this.b.addFieldInt8(0, code, 0);
    this.b.addFieldInt32(2, version, 1);
    this.b.addFieldInt32(3, code, 0);
    return this.b.endObject();
  }

  private buffer(values?: Float32Array | Int32Array): number {
    const {b} = this;
    let data: number | undefined;
    if (values !== undefined) {
      // The schema wants it on a 16-byte boundary.
      b.prep(16, values.byteLength);
      data = b.createByteVector(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    b.startObject(1);
    if (data !== undefined) b.addFieldOffset(0, data, 0);
    return b.endObject();
  }

  private offsets(values: readonly number[]): number {
    this.b.startVector(4, values.length, 4);
    for (const value of [...values].reverse()) this.b.addOffset(value);
    return this.b.endVector();
  }

  private ints(values: readonly number[]): number {
    this.b.startVector(4, values.length, 4);
    for (const value of [...values].reverse()) this.b.addInt32(value);
    return this.b.endVector();
  }
}
