// A network as a TFLite model, as TensorFlow's converter writes it: clamps are fused, also those of sums.
import {ohwiFrom, swapOuter} from '../layouts.ts';
import {
  ACTIVATION,
  byte,
  float,
  int,
  type OperatorName,
  PADDING,
  type TensorIndex,
  TfliteModel,
} from '../tfliteModel.ts';
import {
  type Activation,
  bytesOf,
  type Operation,
  type Operations,
  type Value,
  type Weighted,
} from './operations.ts';

export function toTflite(network: Operations): Uint8Array {
  const model = new TfliteModel(bytesOf(network));
  const tensors = new Map<Value, TensorIndex>();
  const tensor = (value: Value) => {
    const known = tensors.get(value);
    if (known !== undefined) return known;
    const index = model.tensor(value.name, value.shape);
    tensors.set(value, index);
    return index;
  };
  const input = tensor(network.input);
  for (const operation of network.operations) {
    const {name, options, constants} = describe(operation);
    const {output} = operation;
    const own = constants.map(({shape, values}, i) => model.tensor(`${output.name}/${i}`, shape, values));
    const inputs = operation.inputs.map(tensor);
    // The shape of what it computes comes first, what it computes it from last but the bias.
    const all = operation.kind === 'transposed' ? [own[0], own[1], ...inputs, own[2]] : [...inputs, ...own];
    model.operator(name, {inputs: all, output: tensor(output), options});
  }
  return model.build(input, tensor(network.output));
}

interface Constant {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

interface Description {
  readonly name: OperatorName;
  readonly options?: Parameters<TfliteModel['operator']>[1]['options'];
  readonly constants: readonly Constant[];
}

const integers = (...values: number[]): Constant => ({
  shape: [values.length],
  values: Int32Array.from(values),
});
const activationOf = (activation?: Activation) => byte(ACTIVATION[activation ?? 'none']);

function describe(operation: Operation): Description {
  switch (operation.kind) {
    case 'conv':
    case 'depthwise':
    case 'dense':
    case 'transposed':
      return describeWeighted(operation);
    case 'add':
      return {name: 'add', options: [activationOf(operation.activation)], constants: []};
    case 'multiply':
      return {name: 'mul', options: [activationOf()], constants: []};
    case 'concat':
      return {name: 'concatenation', options: [int(operation.axis), activationOf()], constants: []};
    case 'maxPool': {
      const {padding, strides, size} = operation;
      const window = [int(strides), int(strides), int(size), int(size)];
      return {name: 'maxPool2d', options: [byte(PADDING[padding]), ...window, activationOf()], constants: []};
    }
    case 'pad': {
      const {before, after} = operation;
      const values = Int32Array.of(0, 0, before, after, before, after, 0, 0);
      return {name: 'pad', constants: [{shape: [4, 2], values}]};
    }
    case 'mean':
      return {name: 'mean', options: [byte(0)], constants: [integers(1, 2)]};
    case 'upsample': {
      const [, height, width] = operation.output.shape;
      const options = [byte(0), byte(1)]; // Half-pixel centres.
      return {name: 'resizeNearestNeighbor', options, constants: [integers(height, width)]};
    }
    case 'reshape':
      return {name: 'reshape', constants: [integers(...operation.output.shape)]};
    case 'softmax':
      return {name: 'softmax', options: [float(1)], constants: []};
    case 'sigmoid':
      return {name: 'logistic', constants: []};
    case 'relu':
    case 'relu6':
      return {name: operation.kind, constants: []};
  }
}

function describeWeighted(operation: Operation & Weighted): Description {
  const {filter, output} = operation;
  const bias: Constant = {shape: [operation.bias.length], values: operation.bias};
  const activation = activationOf(operation.activation);
  const [height, width, third, fourth] = filter.shape;
  switch (operation.kind) {
    case 'dense': {
      const [ins, outs] = filter.shape;
      const values = ohwiFrom(filter.values, [1, 1, ins, outs]);
      return {name: 'fullyConnected', options: [activation], constants: [{shape: [outs, ins], values}, bias]};
    }
    case 'transposed': {
      const {strides} = operation;
      const options = [byte(PADDING.same), int(strides), int(strides), activation];
      // tfjs has [height, width, out, in]: the taps go inside.
      const values = swapOuter(filter.values, height * width, third, fourth);
      const weights = {shape: [third, height, width, fourth], values};
      return {name: 'transposeConv', options, constants: [integers(...output.shape), weights, bias]};
    }
    case 'conv': {
      const values = ohwiFrom(filter.values, [height, width, third, fourth]);
      const window = [byte(PADDING[operation.padding]), int(operation.strides), int(operation.strides)];
      const options = [...window, activation, int(1), int(1)];
      return {name: 'conv2d', options, constants: [{shape: [fourth, height, width, third], values}, bias]};
    }
    case 'depthwise': {
      // One filter a channel: the layout is the same.
      const constant = {shape: [1, height, width, third], values: filter.values};
      const window = [byte(PADDING[operation.padding]), int(operation.strides), int(operation.strides)];
      const options = [...window, int(1), activation, int(1), int(1)];
      return {name: 'depthwiseConv2d', options, constants: [constant, bias]};
    }
  }
}
