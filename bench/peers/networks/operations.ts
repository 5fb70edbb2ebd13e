// A Keras layers model as a list of operations, as converters make it: batch norms are folded into the convolutions
// before them, activations belong to what they follow, and SiLU is a sigmoid and a product. The writers of other forms
// start from here.
import type * as tf from '@tensorflow/tfjs-core';
import type {LayersModel, SymbolicTensor} from '@tensorflow/tfjs-layers';

/** A tensor of the network; NHWC, batch included. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** In tfjs's layout. */
export interface Weights {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export type Activation = 'relu' | 'relu6';

/** Zeros on either side of rows or columns. */
export interface Padding {
  readonly before: number;
  readonly after: number;
}

interface Window {
  readonly size: number;
  readonly strides: number;
  readonly padding: 'same' | 'valid';
}

/** What has weights, and may end in an activation. */
interface Filtered {
  readonly filter: Weights;
  readonly bias: Float32Array;
  readonly activation?: Activation;
}

export type Convolution = Filtered & Window & {readonly kind: 'conv' | 'depthwise'};

/** Its windows do not overlap. */
export type Transposed = Filtered & {readonly kind: 'transposed'; readonly strides: number};

export type Dense = Filtered & {readonly kind: 'dense'};

export type Weighted = Convolution | Transposed | Dense;

type What =
  | Weighted
  | {readonly kind: 'add'; readonly activation?: Activation}
  | {readonly kind: 'multiply'}
  | {readonly kind: 'concat'; readonly axis: number}
  | ({readonly kind: 'maxPool'} & Window)
  /** Of rows and of columns. */
  | ({readonly kind: 'pad'} & Padding)
  /** Over the image; its dimensions go. */
  | {readonly kind: 'mean'}
  /** Twice as high and wide, each pixel four times. */
  | {readonly kind: 'upsample'}
  | {readonly kind: 'reshape'}
  | {readonly kind: Activation | 'sigmoid' | 'softmax'};

export type Operation = What & {readonly inputs: readonly Value[]; readonly output: Value};

export interface Operations {
  readonly input: Value;
  readonly operations: readonly Operation[];
  readonly output: Value;
}

/** Of one input and one output, and a batch of 1. */
export function readOperations(network: LayersModel): Operations {
  const reader = new Reader(network);
  // In Keras's order, which converters keep.
  for (const layer of network.layers) reader.value(layer.output as SymbolicTensor);
  const output = reader.value(network.outputs[0]);
  return {input: reader.value(network.inputs[0]), operations: reader.operations, output};
}

/** Of the weights. */
export const bytesOf = ({operations}: Operations): number =>
  operations.reduce(
    (sum, operation) =>
      sum + ('filter' in operation ? operation.filter.values.byteLength + operation.bias.byteLength : 0),
    0,
  );

type Config = Record<string, unknown>;

class Reader {
  /** In an order in which they can be computed. */
  readonly operations: Operation[] = [];
  private readonly values = new Map<number, Value>();
  /** How many layers take a tensor, by its id. */
  private readonly uses = new Map<number, number>();

  constructor(network: LayersModel) {
    const seen = new Set<number>();
    const count = (tensor: SymbolicTensor) => {
      this.uses.set(tensor.id, (this.uses.get(tensor.id) ?? 0) + 1);
      if (seen.has(tensor.id)) return;
      seen.add(tensor.id);
      tensor.inputs.forEach(count);
    };
    network.outputs.forEach(count);
  }

  value(tensor: SymbolicTensor): Value {
    const known = this.values.get(tensor.id);
    if (known !== undefined) return known;
    const inputs = tensor.inputs.map((input) => this.value(input));
    const value = this.read(tensor, inputs);
    this.values.set(tensor.id, value);
    return value;
  }

  private read(tensor: SymbolicTensor, inputs: readonly Value[]): Value {
    const layer = tensor.sourceLayer;
    const config = layer.getConfig() as Config;
    const weights = layer.getWeights().map((weight) => ({
      shape: weight.shape,
      values: (weight as tf.Tensor).dataSync<'float32'>(),
    }));
    const shape = tensor.shape.map((size) => size ?? 1);
    const emit = (what: What) => this.emit(what, inputs, shape);
    switch (layer.getClassName()) {
      case 'InputLayer':
        return {name: 'x', shape};
      case 'Dropout':
        return inputs[0];
      case 'Conv2D':
      case 'DepthwiseConv2D':
      case 'Conv2DTranspose':
      case 'Dense':
        return this.activated(
          this.weighted(layer.getClassName(), config, weights, inputs, shape),
          config.activation as string,
        );
      case 'BatchNormalization':
        this.fold(tensor, inputs[0], weights, config.epsilon as number);
        return inputs[0];
      case 'Activation':
        return this.activated(inputs[0], config.activation as string, this.isOnly(tensor));
      case 'ReLU':
        return this.activated(inputs[0], config.maxValue === 6 ? 'relu6' : 'relu', this.isOnly(tensor));
      case 'Add':
        return emit({kind: 'add'});
      case 'Multiply':
        return emit({kind: 'multiply'});
      case 'Concatenate':
        return emit({kind: 'concat', axis: config.axis as number});
      case 'MaxPooling2D':
        return emit({kind: 'maxPool', ...windowOf(config, config.poolSize)});
      case 'ZeroPadding2D': {
        const [[before, after]] = config.padding as number[][];
        return emit({kind: 'pad', before, after});
      }
      case 'GlobalAveragePooling2D':
        return emit({kind: 'mean'});
      case 'UpSampling2D':
        return emit({kind: 'upsample'});
      case 'Reshape':
      case 'Flatten':
        return emit({kind: 'reshape'});
      default:
        throw new Error(`No writer knows the layer ${layer.getClassName()}.`);
    }
  }

  private weighted(
    layer: string,
    config: Config,
    [filter, bias]: readonly Weights[],
    inputs: readonly Value[],
    shape: readonly number[],
  ): Value {
    const channels = shape[shape.length - 1];
    // What follows may change them: they are the operation's own.
    const own = {
      filter: {shape: filter.shape, values: filter.values.slice()},
      bias: bias?.values.slice() ?? new Float32Array(channels),
    };
    if (layer === 'Dense') return this.emit({kind: 'dense', ...own}, inputs, shape);
    const window = windowOf(config, config.kernelSize);
    if (layer === 'Conv2DTranspose') {
      if (window.strides !== window.size) throw new Error('Windows of a transposed convolution overlap.');
      return this.emit({kind: 'transposed', ...own, strides: window.strides}, inputs, shape);
    }
    const kind = layer === 'Conv2D' ? 'conv' : 'depthwise';
    return this.emit({kind, ...own, ...window}, inputs, shape);
  }

  /** Whether what the layer takes is taken by nothing else. */
  private isOnly({inputs}: SymbolicTensor): boolean {
    return this.uses.get(inputs[0].id) === 1;
  }

  /** @param only Whether nothing else takes the value. */
  private activated(value: Value, activation: string, only = true): Value {
    switch (activation) {
      case 'linear':
        return value;
      case 'swish':
        return this.emit({kind: 'multiply'}, [value, this.activated(value, 'sigmoid')], value.shape);
      case 'relu':
      case 'relu6': {
        const last = this.operations.findIndex(({output}) => output === value);
        const before = this.operations[last];
        if (
          before === undefined ||
          !only ||
          !('filter' in before || before.kind === 'add') ||
          before.activation !== undefined
        ) {
          return this.emit({kind: activation}, [value], value.shape);
        }
        this.operations[last] = {...before, activation};
        return value;
      }
      case 'sigmoid':
      case 'softmax':
        return this.emit({kind: activation}, [value], value.shape);
      default:
        throw new Error(`No writer knows the activation ${activation}.`);
    }
  }

  /** Into the convolution before it. */
  private fold(
    tensor: SymbolicTensor,
    value: Value,
    [gamma, beta, mean, variance]: readonly Weights[],
    epsilon: number,
  ): void {
    const before = this.operations.find(({output}) => output === value);
    if (before === undefined || !('filter' in before) || before.activation || !this.isOnly(tensor)) {
      throw new Error('A batch norm does not follow a convolution.');
    }
    const {filter, bias} = before;
    const factors = Array.from(gamma.values, (factor, c) => factor / Math.sqrt(variance.values[c] + epsilon));
    // The channels are innermost, those of a depthwise filter as well.
    filter.values.forEach((weight, i) => {
      filter.values[i] = weight * factors[i % factors.length];
    });
    factors.forEach((factor, c) => {
      bias[c] = (bias[c] - mean.values[c]) * factor + beta.values[c];
    });
  }

  private emit(what: What, inputs: readonly Value[], shape: readonly number[]): Value {
    const output = {name: `${what.kind}_${this.operations.length}`, shape};
    this.operations.push({...what, inputs, output});
    return output;
  }
}

/** Square ones. */
function windowOf({strides, padding}: Config, sizes: unknown): Window {
  return {
    size: (sizes as number[])[0],
    strides: (strides as number[])[0],
    padding: padding as 'same' | 'valid',
  };
}

/** How a window's sides are padded; the same for rows and columns of a square image. */
export function paddingOf({size, strides, padding}: Window, side: number): Padding {
  if (padding === 'valid') return {before: 0, after: 0};
  const all = Math.max(0, (Math.ceil(side / strides) - 1) * strides + size - side);
  return {before: all >> 1, after: all - (all >> 1)};
}
