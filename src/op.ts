import {
  add,
  backend_util,
  clipByValue,
  elu,
  engine,
  erf,
  getBackend,
  getKernel,
  leakyRelu,
  mul,
  type NamedAttrMap,
  op,
  prelu,
  relu,
  relu6,
  reshape,
  sigmoid,
  Tensor,
  type Tensor3D,
  type Tensor4D,
  type TensorLike,
  tanh,
  tensor,
  util,
} from '@tensorflow/tfjs-core';
import {
  type Activation,
  type ActivationAttributes,
  type ActivationConstants,
  activationConstants,
  checkActivation,
} from './activation.ts';
import {BACKEND_NAMES} from './backend.ts';
import {IM2WIN_CONV_2D} from './convKernels.ts';
import {checkNames, checkOneOf, describe, InvalidArgument, namingOp} from './describe.ts';
import {type ConvAttributes, readWindows} from './geometry.ts';
import {checkResidual} from './operand.ts';

const OP = 'im2winConv2d';
const IN_OP = `Error in ${OP}`;

/** As in `tf.conv2d` and `tf.fused.conv2d`, and more: further activations, and a residual. */
export interface Im2winConv2dOptions extends ConvAttributes, ActivationAttributes {
  /** A shape that broadcasts to the output's. */
  bias?: Tensor | TensorLike;
  /** `'linear'` if missing. */
  activation?: Activation;
  /** Slopes of `'prelu'`, of a shape that broadcasts to the output's. */
  preluActivationWeights?: Tensor | TensorLike;
  /** The slope of `'leakyrelu'`; 0.2 if missing. */
  leakyreluAlpha?: number;
  /** A tensor of the output's shape, which is added to it. float32. */
  residual?: Tensor | TensorLike;
  /**
   * Where the residual is added. If `false` or missing, before the activation: activation(convolution + bias + residual), as
   * in ResNet. If `true`, behind it: activation(convolution + bias) + residual.
   */
  residualAfterActivation?: boolean;
}

const OPTIONS: readonly (keyof Im2winConv2dOptions)[] = [
  'strides',
  'pad',
  'dataFormat',
  'dilations',
  'dimRoundingMode',
  'bias',
  'activation',
  'preluActivationWeights',
  'leakyreluAlpha',
  'hardsigmoidAlpha',
  'hardsigmoidBeta',
  'clipMin',
  'clipMax',
  'residual',
  'residualAfterActivation',
];

/**
 * Computes a 2D convolution by im2win on the current backend, whatever the
 * registration's algorithm.
 *
 * In a gradient an activation is computed by tfjs's own op, as in
 * `tf.fused.conv2d`, and a residual is added by one; the gradient goes through them.
 *
 * @param x Of rank 4, `[batch, height, width, inChannels]` (for `'NCHW'` with the
 *     channels behind the batch), or of rank 3 without the batch. float32.
 * @param filter `[filterHeight, filterWidth, inChannels, outChannels]`. float32.
 * @param options Strides and padding at least.
 * @returns The output, of the rank of `x`.
 * @throws Error if the current backend has no `Im2winConv2D`, or if an argument
 *     is not one a convolution can have.
 */
function im2winConv2d_<T extends Tensor3D | Tensor4D>(
  x: T | TensorLike,
  filter: Tensor4D | TensorLike,
  options: Im2winConv2dOptions,
): T {
  checkBackend();
  const {strides, pad, dilations} = namingOp(IN_OP, () => {
    checkOptions(options);
    return readWindows(options);
  });
  const {dataFormat = 'NHWC', dimRoundingMode, leakyreluAlpha} = options;
  const $x = toTensor('x', x);
  const $filter = toTensor('filter', filter);
  const bias = options.bias == null ? undefined : toTensor('bias', options.bias);
  const slope =
    options.preluActivationWeights == null
      ? undefined
      : toTensor('preluActivationWeights', options.preluActivationWeights);
  const residual = options.residual == null ? undefined : toTensor('residual', options.residual);
  const activation = namingOp(IN_OP, () => checkActivation(options.activation, slope !== undefined, true));
  const constants = namingOp(IN_OP, () => activationConstants(activation, options));
  check($x.rank === 3 || $x.rank === 4, () => `input must be rank 3 or 4, but got rank ${$x.rank}`);
  check($filter.rank === 4, () => `filter must be rank 4, but got rank ${$filter.rank}`);
  check(
    residual === undefined || residual.rank === $x.rank,
    () => `residual must have the rank of input, ${$x.rank}, but got rank ${residual?.rank}`,
  );
  const toRank4 = (value: Tensor) => (value.rank === 4 ? value : reshape(value, [1, ...value.shape]));
  const x4D = toRank4($x);
  const residual4D = residual && toRank4(residual);
  const depth = dataFormat === 'NHWC' ? x4D.shape[3] : x4D.shape[1];
  check(
    depth === $filter.shape[2],
    () => `depth of input (${depth}) must match input depth for filter ${$filter.shape[2]}`,
  );
  check(
    backend_util.eitherStridesOrDilationsAreOne(strides, dilations),
    () => `either strides or dilations must be 1. Got strides ${strides} and dilations '${dilations}'`,
  );

  const run = (fused: Activation, inputs: Record<string, Tensor>): Tensor =>
    engine().runKernel(IM2WIN_CONV_2D, inputs, {
      strides,
      pad,
      dataFormat,
      dilations,
      dimRoundingMode,
      activation: fused,
      leakyreluAlpha,
      hardsigmoidAlpha: options.hardsigmoidAlpha,
      hardsigmoidBeta: options.hardsigmoidBeta,
      clipMin: options.clipMin,
      clipMax: options.clipMax,
      residualAfterActivation: options.residualAfterActivation,
      biasShape: bias?.shape,
    } as unknown as NamedAttrMap) as Tensor;

  let y: Tensor;
  if (engine().state.gradientDepth > 0 && (activation !== 'linear' || residual4D !== undefined)) {
    const convolved = run('linear', {x: x4D, filter: $filter, ...(bias ? {bias} : {})});
    if (residual4D) namingOp(IN_OP, () => checkResidual(residual4D.shape, convolved.shape));
    // A list of slopes belongs to the channels, which NCHW has in front.
    const aligned = slope?.rank === 1 && dataFormat === 'NCHW' ? reshape(slope, [slope.size, 1, 1]) : slope;
    const added = (to: Tensor, isHere: boolean) => (residual4D && isHere ? add(to, residual4D) : to);
    const isLast = options.residualAfterActivation === true;
    const sum = added(convolved, !isLast);
    y = added(activate(sum, activation, {slope: aligned, leakyreluAlpha, ...constants}), isLast);
  } else {
    y = run(activation, {
      x: x4D,
      filter: $filter,
      ...(bias ? {bias} : {}),
      ...(slope ? {preluActivationWeights: slope} : {}),
      ...(residual4D ? {residual: residual4D} : {}),
    });
  }
  return ($x.rank === 4 ? y : reshape(y, y.shape.slice(1) as [number, number, number])) as unknown as T;
}

export const im2winConv2d = op({im2winConv2d_}) as typeof im2winConv2d_;

function checkBackend(): void {
  const backend = getBackend();
  if (getKernel(IM2WIN_CONV_2D, backend) !== undefined) return;
  const having = BACKEND_NAMES.filter((name) => getKernel(IM2WIN_CONV_2D, name) !== undefined);
  throw new Error(
    `${IN_OP}: backend '${backend}' has no ${IM2WIN_CONV_2D}; ` +
      (having.length > 0
        ? `backends that have it: '${having.join("', '")}'.`
        : `call registerIm2win() first, which gives it to the ${BACKEND_NAMES.join(' and the ')} backend.`),
  );
}

/** @throws InvalidArgument if there is no such option, or its value is none; what else reads one checks it there. */
function checkOptions(options: Im2winConv2dOptions): void {
  checkNames(options, OPTIONS, 'an object with strides and pad at least');
  const {dataFormat, dimRoundingMode, leakyreluAlpha, residualAfterActivation} = options;
  checkOneOf('dataFormat', dataFormat ?? 'NHWC', ['NHWC', 'NCHW']);
  checkOneOf('dimRoundingMode', dimRoundingMode ?? 'floor', ['floor', 'round', 'ceil']);
  checkOneOf('residualAfterActivation', residualAfterActivation ?? false, [true, false]);
  const alpha: unknown = leakyreluAlpha ?? 0;
  if (typeof alpha !== 'number' || Number.isNaN(alpha)) {
    throw new InvalidArgument(`leakyreluAlpha is ${describe(alpha)}; allowed: a number.`);
  }
}

function toTensor(name: string, value: Tensor | TensorLike): Tensor {
  const isTensor = value instanceof Tensor;
  const dtype = isTensor ? value.dtype : util.inferDtype(value);
  check(
    isTensor ? dtype === 'float32' : dtype !== 'string',
    () => `Argument '${name}' passed to '${OP}' must be float32 tensor, but got ${dtype} tensor`,
  );
  return isTensor ? value : tensor(value, undefined, 'float32');
}

function check(holds: boolean, message: () => string): void {
  util.assert(holds, () => `${IN_OP}: ${message()}.`);
}

function activate(
  x: Tensor,
  activation: Activation,
  operands: ActivationConstants & {readonly slope?: Tensor; readonly leakyreluAlpha?: number},
): Tensor {
  const {low, high, alpha, beta, leakyreluAlpha} = operands;
  const hardsigmoid = () => clipByValue(add(mul(x, alpha), beta), 0, 1);
  switch (activation) {
    case 'relu':
      return relu(x);
    case 'relu6':
      return relu6(x);
    case 'elu':
      return elu(x);
    case 'sigmoid':
      return sigmoid(x);
    case 'tanh':
      return tanh(x);
    case 'silu':
      return mul(x, sigmoid(x));
    case 'gelu':
      return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
    case 'gelu_new':
      return mul(x, sigmoid(mul(x, add(mul(mul(x, x), 0.0713548163), 1.5957691216))));
    case 'hardsigmoid':
      return hardsigmoid();
    case 'hardswish':
      return mul(x, hardsigmoid());
    case 'clip':
      return clipByValue(x, low, high);
    case 'leakyrelu':
      return leakyRelu(x, leakyreluAlpha);
    case 'prelu':
      return prelu(x, operands.slope as Tensor);
    default:
      return x;
  }
}
