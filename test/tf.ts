// tfjs as the tests use it: fresh wasm backends, float data, and the comparison
// of an output with the reference.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import type {Flavour} from '../src/plan.ts';
import {probe} from '../src/wasm/detect.ts';
import type {TfjsWasmBackend} from '../src/wasm/tfjs.ts';
import {
  type ActivationNumbers,
  activate,
  convolve,
  mostWinogradGrowth,
  type Problem,
  type Sums,
  sumError,
  UNIT_ROUNDOFF,
} from './reference.ts';

export {tf};

// As in reference.ts: jest's globals are slow.
const {abs, floor, imul} = Math;

tf.env().set('IS_TEST', true); // Else the cpu backend advertises tfjs-node.

const wasmFactory = tf.findBackendFactory('wasm');

/** Makes a new instance of the wasm backend, with a heap of its own, the current one. */
export async function freshWasm(): Promise<TfjsWasmBackend> {
  if (tf.findBackendFactory('wasm') !== null) tf.removeBackend('wasm');
  tf.registerBackend('wasm', wasmFactory);
  await tf.setBackend('wasm');
  return currentWasm();
}

/** Makes a backend the current one: a new instance of it, if it is wasm. */
export async function freshBackend(name: 'wasm' | 'cpu'): Promise<void> {
  if (name === 'wasm') await freshWasm();
  else await tf.setBackend('cpu');
}

export function currentWasm(): TfjsWasmBackend {
  return tf.backend() as unknown as TfjsWasmBackend;
}

/** Makes the module that probes the engine find plain SIMD only, or no SIMD at all. */
export function engineWithout(...flavours: Flavour[]): void {
  const refused = flavours.map((flavour) => `${probe(flavour)}`);
  const validate = WebAssembly.validate;
  jest
    .spyOn(WebAssembly, 'validate')
    .mockImplementation((bytes) => !refused.includes(`${bytes}`) && validate(bytes));
}

/** Makes a host that compiles no WebAssembly, but has modules that were compiled before. */
export function hostThatCompilesNothing(): void {
  const {customSections} = WebAssembly.Module;
  const refusing = jest.spyOn(WebAssembly, 'Module').mockImplementation(() => {
    throw new WebAssembly.CompileError('refused');
  });
  Object.assign(refusing, {customSections});
}

/** A repeatable stream of floats in [-1, 1): a linear congruential generator. */
export function floats(count: number, seed: number): Float32Array {
  const values = new Float32Array(count);
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < count; ++i) {
    state = (imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

export const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

export interface Epilogue extends ActivationNumbers {
  readonly activation: string;
  readonly biasShape?: readonly number[];
  readonly slopeShape?: readonly number[];
  readonly leakyreluAlpha?: number;
  /** Where a residual is added, if there is one. */
  readonly residual?: 'before' | 'after';
}

export const LINEAR: Epilogue = {activation: 'linear'};

export interface ConvCase extends Problem {
  readonly name: string;
  readonly pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  /** Products in a sum, where they are fewer than a full convolution has. */
  readonly terms?: number;
}

/** A case by its attributes; tfjs computes the output's size. */
export function convCase(
  xShape: ConvCase['xShape'],
  filterShape: ConvCase['filterShape'],
  attributes: {
    strides?: [number, number];
    pad?: ConvCase['pad'];
    dilations?: [number, number];
    dimRoundingMode?: ConvCase['dimRoundingMode'];
  } = {},
): ConvCase {
  const {strides = [1, 1], pad = 'valid', dilations = [1, 1], dimRoundingMode} = attributes;
  const info = tf.backend_util.computeConv2DInfo(
    [...xShape],
    [...filterShape],
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  return {
    name: `[${xShape}] * [${filterShape}] strides ${strides} pad ${JSON.stringify(pad)} dilations ${dilations} ${dimRoundingMode ?? ''}`,
    xShape,
    filterShape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    padding: [info.padInfo.top, info.padInfo.left],
    outHeight: info.outHeight + 0, // tfjs rounds to -0 at times
    outWidth: info.outWidth + 0,
  };
}

/**
 * A depthwise convolution, as the full one that it is: its filter, of shape
 * [height, width, inChannels, inChannels * multiplier], is zero wherever input and
 * output channel do not belong together.
 */
export function depthwiseCase(
  xShape: ConvCase['xShape'],
  [height, width, inChannels, multiplier]: ConvCase['filterShape'],
  attributes: Parameters<typeof convCase>[2] = {},
): ConvCase {
  return {
    ...convCase(xShape, [height, width, inChannels, inChannels * multiplier], attributes),
    terms: height * width,
  };
}

/** Operands of a depthwise case, and its filter as the kernels want it. */
export function depthwiseOperandsOf(
  problem: ConvCase,
  epilogue: Epilogue,
  seed: number,
): {full: Operands; operands: Operands} {
  const [height, width, inChannels, outChannels] = problem.filterShape;
  const multiplier = outChannels / inChannels;
  const own = floats(height * width * outChannels, 7 * seed + 2);
  const full = new Float32Array(height * width * inChannels * outChannels);
  own.forEach((value, i) => {
    const channel = floor((i % outChannels) / multiplier);
    full[(floor(i / outChannels) * inChannels + channel) * outChannels + (i % outChannels)] = value;
  });
  const {filter, ...rest} = operandsOf(problem, epilogue, seed);
  filter.dispose();
  return {
    full: {...rest, filter: tf.tensor4d(full, [height, width, inChannels, outChannels])},
    operands: {...rest, filter: tf.tensor4d(own, [height, width, inChannels, multiplier])},
  };
}

export interface Operands {
  readonly x: tf.Tensor4D;
  readonly filter: tf.Tensor4D;
  readonly bias?: tf.Tensor;
  readonly preluActivationWeights?: tf.Tensor;
  readonly residual?: tf.Tensor4D;
}

function outShapeOf({xShape, filterShape, outHeight, outWidth}: ConvCase): [number, number, number, number] {
  return [xShape[0], outHeight, outWidth, filterShape[3]];
}

export function operandsOf(problem: ConvCase, epilogue: Epilogue, seed: number): Operands {
  const tensor = (shape: readonly number[] | undefined, salt: number) =>
    shape === undefined ? undefined : tf.tensor(floats(size(shape), 7 * seed + salt), [...shape]);
  return {
    x: tensor(problem.xShape, 1) as tf.Tensor4D,
    filter: tensor(problem.filterShape, 2) as tf.Tensor4D,
    bias: tensor(epilogue.biasShape, 3),
    preluActivationWeights: tensor(epilogue.slopeShape, 4),
    residual: tensor(epilogue.residual && outShapeOf(problem), 5) as tf.Tensor4D | undefined,
  };
}

/**
 * Runs one convolution kernel by its name, as tfjs's ops do. For NCHW the operands
 * are transposed before and the output after: both sides stay NHWC.
 */
export function runConv(
  kernelName: string,
  problem: ConvCase,
  epilogue: Epilogue,
  operands: Operands,
  dataFormat: 'NHWC' | 'NCHW' = 'NHWC',
): tf.Tensor {
  const {strides, dilations, dimRoundingMode} = problem;
  const {biasShape: _, slopeShape: __, residual, ...numbers} = epilogue;
  const channelsFirst = dataFormat === 'NCHW';
  const toFormat = (name: string, tensor: tf.Tensor) => {
    // A list of values belongs to the channels in either format.
    if (!channelsFirst || name === 'filter' || tensor.rank < 2) return tensor;
    const spread = tensor.rank === 2 ? tf.expandDims(tensor, 0) : tensor;
    return moveLastAxis(spread, spread.rank - 3);
  };
  const inputs = Object.fromEntries(
    Object.entries(operands).flatMap(([name, tensor]) => (tensor ? [[name, toFormat(name, tensor)]] : [])),
  );
  const pad =
    channelsFirst && Array.isArray(problem.pad)
      ? [problem.pad[0], problem.pad[3], problem.pad[1], problem.pad[2]]
      : problem.pad;
  const attributes = {
    strides,
    pad,
    dataFormat,
    dilations,
    dimRoundingMode,
    ...numbers,
    residualAfterActivation: residual === 'after',
  };
  const output = tf
    .engine()
    .runKernel(kernelName, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
  if (!channelsFirst) return output;
  const [batch, channels, height, width] = output.shape;
  return output.size === 0
    ? tf.reshape(output, [batch, height, width, channels])
    : tf.transpose(output, [0, 2, 3, 1]);
}

function moveLastAxis(tensor: tf.Tensor, to: number): tf.Tensor {
  const axes = tensor.shape.map((_, axis) => axis).slice(0, -1);
  axes.splice(to, 0, tensor.rank - 1);
  // Stock's own transpose divides by zero on an empty tensor.
  if (tensor.size === 0)
    return tf.reshape(
      tensor,
      axes.map((axis) => tensor.shape[axis]),
    );
  return tf.transpose(tensor, axes);
}

/** The reference's sums of operands, made once for all the ways in which a test computes them. */
const knownSums = new WeakMap<Operands, {readonly problem: string; readonly sums: Sums}>();

function sumsOf(problem: ConvCase, operands: Operands, x: Float32Array, filter: Float32Array): Sums {
  const {xShape, filterShape, strides, dilations, padding, outHeight, outWidth} = problem;
  const key = [xShape, filterShape, strides, dilations, padding, outHeight, outWidth].join('|');
  const known = knownSums.get(operands);
  if (known?.problem === key) return known.sums;
  const sums = convolve(problem, x, filter);
  knownSums.set(operands, {problem: key, sums});
  return sums;
}

/**
 * Compares an output with the reference, value by value, each against the error
 * that its own sum can have, or, by Winograd, its tile's sums.
 *
 * @throws Error that names the first value that is off.
 */
export function expectConvolution(
  output: tf.Tensor,
  problem: ConvCase,
  epilogue: Epilogue,
  operands: Operands,
  algorithm: 'im2win' | 'winograd' = 'im2win',
): void {
  const [filterHeight, filterWidth, inChannels, outChannels] = problem.filterShape;
  const shape = outShapeOf(problem);
  if (output.shape.join() !== shape.join()) {
    throw new Error(`${problem.name}: the output has shape [${output.shape}], not [${shape}]`);
  }
  const x = operands.x.dataSync<'float32'>();
  const filter = operands.filter.dataSync<'float32'>();
  const {sums, magnitudes} = sumsOf(problem, operands, x, filter);
  const bias = broadcast(operands.bias, shape);
  const slope = broadcast(operands.preluActivationWeights, shape);
  const residual = broadcast(operands.residual, shape);
  const isLast = epilogue.residual === 'after';
  const values = output.dataSync();
  const terms = (problem.terms ?? filterHeight * filterWidth * inChannels) + 3;
  // A single output is no stride apart from another.
  const taps = problem.outWidth === 1 ? filterWidth : Math.ceil(filterWidth / problem.strides[1]);
  const rowTaps = problem.outHeight === 1 ? filterHeight : Math.ceil(filterHeight / problem.strides[0]);
  const transformed = algorithm === 'winograd' && problem.dilations[1] === 1;
  // Three transforms along each axis, of at most 8 values each.
  const growth = transformed ? mostWinogradGrowth(rowTaps, taps) : 0;
  const largest = x.reduce((most, v) => Math.max(most, abs(v)), 0);
  const tileError = channelSums(filter, outChannels).map(
    (sum) => growth * sumError(terms + 48, sum * largest),
  );
  for (let i = 0; i < sums.length; ++i) {
    const before = bias(i) + (isLast ? 0 : residual(i));
    const after = isLast ? residual(i) : 0;
    const sum = sums[i] + before;
    const factor = epilogue.activation === 'leakyrelu' ? (epilogue.leakyreluAlpha ?? 0.2) : slope(i);
    const {value: activated, widening, own = 0} = activate(epilogue.activation, sum, factor, epilogue);
    const value = activated + after;
    const added = abs(bias(i)) + (isLast ? 0 : abs(residual(i)));
    const error = sumError(terms, magnitudes[i] + added) + tileError[i % outChannels];
    // The activations themselves: at most eight roundings in a row.
    const rounding = UNIT_ROUNDOFF * (8 * abs(activated) + abs(value));
    const allowed = widening * error + own + rounding + 1e-37;
    if (!(abs(values[i] - value) <= allowed)) {
      throw new Error(
        `${problem.name} ${JSON.stringify(epilogue)}: value ${i} of [${shape}] is ${values[i]}, not ${value} ± ${allowed}`,
      );
    }
  }
}

/** The sum of a filter's absolute values, for each output channel. */
function channelSums(filter: Float32Array, outChannels: number): Float64Array {
  const sums = new Float64Array(outChannels);
  filter.forEach((value, i) => {
    sums[i % outChannels] += abs(value);
  });
  return sums;
}

/** A tensor's value for each element of the output, by NumPy's broadcasting; 0 without a tensor. */
export function broadcast(tensor: tf.Tensor | undefined, shape: number[]): (i: number) => number {
  if (tensor === undefined) return () => 0;
  const values = tensor.dataSync();
  const own = [...Array(shape.length - tensor.rank).fill(1), ...tensor.shape];
  return (i) => {
    let at = 0;
    let rest = i;
    let stride = 1;
    for (let d = shape.length - 1; d >= 0; --d) {
      const index = rest % shape[d];
      rest = floor(rest / shape[d]);
      if (own[d] !== 1) at += index * stride;
      stride *= own[d];
    }
    return values[at];
  };
}
