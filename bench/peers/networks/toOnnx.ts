// A network as an ONNX model, as converters write it: NCHW, activations as nodes, which the engine fuses.
import {nhwcToNchw, ohwiFrom, oihwFrom} from '../layouts.ts';
import {OnnxModel} from '../onnxModel.ts';
import {onnxShape} from './onnxShape.ts';
import {
  type Activation,
  type Operation,
  type Operations,
  paddingOf,
  type Value,
  type Weighted,
} from './operations.ts';

export function toOnnx({input, operations, output}: Operations): Uint8Array {
  const model = new OnnxModel();
  for (const operation of operations) write(model, operation);
  const value = ({name, shape}: Value) => ({name, shape: onnxShape(shape)});
  return model.build(value(input), value(output));
}

const integers = (...values: number[]) => BigInt64Array.from(values.map(BigInt));

function write(model: OnnxModel, operation: Operation): void {
  const output = operation.output.name;
  const inputs = operation.inputs.map(({name}) => name);
  const plain = (opType: string, attributes = {}) => model.add(opType, {inputs, output, attributes});
  const withConstant = (opType: string, values: BigInt64Array, attributes = {}) =>
    model.add(opType, {
      inputs: [...inputs, model.constant(`${output}/constant`, [values.length], values)],
      output,
      attributes,
    });
  const [x] = operation.inputs;
  switch (operation.kind) {
    case 'conv':
    case 'depthwise':
    case 'dense':
    case 'transposed':
      clamped(model, operation, (name) => weighted(model, operation, name));
      return;
    case 'add':
      clamped(model, operation, (name) => model.add('Add', {inputs, output: name}));
      return;
    case 'multiply':
      plain('Mul');
      return;
    case 'concat': {
      const {axis} = operation;
      const nchw = [0, 2, 3, 1];
      plain('Concat', {axis: x.shape.length === 4 ? nchw[axis] : axis});
      return;
    }
    case 'maxPool':
      plain('MaxPool', windowOf(operation));
      return;
    case 'pad': {
      const {before, after} = operation;
      withConstant('Pad', integers(0, 0, before, before, 0, 0, after, after), {mode: 'constant'});
      return;
    }
    case 'mean':
      model.add('GlobalAveragePool', {inputs, output: `${output}/image`});
      model.add('Flatten', {inputs: [`${output}/image`], output, attributes: {axis: 1}});
      return;
    case 'upsample':
      model.add('Resize', {
        inputs: [...inputs, '', model.constant(`${output}/scales`, [4], Float32Array.of(1, 1, 2, 2))],
        output,
        attributes: {
          mode: 'nearest',
          nearest_mode: 'floor',
          coordinate_transformation_mode: 'asymmetric',
        },
      });
      return;
    case 'reshape': {
      const shape = integers(...onnxShape(operation.output.shape));
      // What was NCHW is put in NHWC's order first, unless it is the same.
      if (x.shape.length !== 4 || x.shape[1] * x.shape[2] === 1) {
        withConstant('Reshape', shape);
        return;
      }
      const rearranged = model.add('Transpose', {
        inputs,
        output: `${output}/nhwc`,
        attributes: {perm: [0, 2, 3, 1]},
      });
      model.add('Reshape', {
        inputs: [rearranged, model.constant(`${output}/constant`, [shape.length], shape)],
        output,
      });
      return;
    }
    case 'sigmoid':
      plain('Sigmoid');
      return;
    case 'softmax':
      plain('Softmax', {axis: 1});
      return;
    case 'relu':
    case 'relu6':
      clamp(model, inputs[0], operation.kind, output);
  }
}

/** An operation and the activation that it ends in. */
function clamped(
  model: OnnxModel,
  {activation, output}: {readonly activation?: Activation; readonly output: Value},
  add: (name: string) => string,
): void {
  if (activation === undefined) add(output.name);
  else clamp(model, add(`${output.name}/linear`), activation, output.name);
}

function clamp(model: OnnxModel, input: string, activation: Activation, output: string): void {
  if (activation === 'relu') {
    model.add('Relu', {inputs: [input], output});
    return;
  }
  const limits = [0, 6].map((limit) => model.constant(`${output}/${limit}`, [], Float32Array.of(limit)));
  model.add('Clip', {inputs: [input, ...limits], output});
}

function windowOf(operation: Operation & {readonly kind: 'conv' | 'depthwise' | 'maxPool'}) {
  const {size, strides, inputs} = operation;
  const rows = paddingOf(operation, inputs[0].shape[1]);
  const columns = paddingOf(operation, inputs[0].shape[2]);
  return {
    kernel_shape: [size, size],
    strides: [strides, strides],
    pads: [rows.before, columns.before, rows.after, columns.after],
  };
}

function weighted(model: OnnxModel, operation: Operation & Weighted, output: string): string {
  const {filter, bias, inputs} = operation;
  const [height, width, third, fourth] = filter.shape;
  const operands = (shape: readonly number[], values: Float32Array) => [
    inputs[0].name,
    model.constant(`${output}/filter`, shape, values),
    model.constant(`${output}/bias`, [bias.length], bias),
  ];
  switch (operation.kind) {
    case 'dense': {
      const [ins, outs] = filter.shape;
      const values = ohwiFrom(filter.values, [1, 1, ins, outs]);
      return model.add('Gemm', {inputs: operands([outs, ins], values), output, attributes: {transB: 1}});
    }
    case 'conv': {
      const values = oihwFrom(filter.values, filter.shape);
      const shape = [fourth, third, height, width];
      return model.add('Conv', {inputs: operands(shape, values), output, attributes: windowOf(operation)});
    }
    case 'depthwise': {
      const values = nhwcToNchw(filter.values, [1, height, width, third]);
      return model.add('Conv', {
        inputs: operands([third, 1, height, width], values),
        output,
        attributes: {...windowOf(operation), group: third},
      });
    }
    case 'transposed': {
      // tfjs has [height, width, out, in]; here it is [in, out, height, width].
      const values = nhwcToNchw(ohwiFrom(filter.values, [1, height * width, third, fourth]), [
        fourth,
        height,
        width,
        third,
      ]);
      return model.add('ConvTranspose', {
        inputs: operands([fourth, third, height, width], values),
        output,
        attributes: {kernel_shape: [height, width], strides: [operation.strides, operation.strides]},
      });
    }
  }
}
