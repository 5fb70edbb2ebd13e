import {describe, InvalidArgument} from './describe.ts';

/** The activations that tfjs fuses into a convolution. */
export const TFJS_ACTIVATIONS = ['linear', 'relu', 'relu6', 'prelu', 'leakyrelu', 'sigmoid', 'elu'] as const;

/**
 * An activation that a convolution can end with. tfjs's own fused kernels take the first seven, `Im2winConv2D` and
 * `Im2winDepthwiseConv2D` all:
 *
 * - `'silu'`, or swish, is x · sigmoid(x);
 * - `'gelu'` is x · Φ(x), and `'gelu_new'` what that comes to by tanh, both as in tfjs-layers;
 * - `'hardsigmoid'` is `hardsigmoidAlpha` · x + `hardsigmoidBeta`, within 0 and 1;
 * - `'hardswish'` is x · relu6(x + 3) / 6;
 * - `'clip'` is x within `clipMin` and `clipMax`.
 */
export type Activation =
  | 'linear'
  | 'relu'
  | 'relu6'
  | 'prelu'
  | 'leakyrelu'
  | 'sigmoid'
  | 'elu'
  | 'tanh'
  | 'silu'
  | 'gelu'
  | 'gelu_new'
  | 'hardsigmoid'
  | 'hardswish'
  | 'clip';

/** The activations of this package's own kernels. */
export const ACTIVATIONS: readonly Activation[] = [
  ...TFJS_ACTIVATIONS,
  'tanh',
  'silu',
  'gelu',
  'gelu_new',
  'hardsigmoid',
  'hardswish',
  'clip',
];

/** Numbers that some activations of this package's own kernels have. */
export interface ActivationAttributes {
  /** The slope of `'hardsigmoid'`; 0.2 if missing, as in Keras 2. PyTorch's, which is relu6(x + 3) / 6, has 1 / 6. */
  hardsigmoidAlpha?: number;
  /** What `'hardsigmoid'` is at 0; 0.5 if missing. */
  hardsigmoidBeta?: number;
  /** The lower bound of `'clip'`; none if missing. */
  clipMin?: number;
  /** The upper bound of `'clip'`; none if missing. */
  clipMax?: number;
}

/** An activation's numbers, whichever it is. */
export interface ActivationConstants {
  /** The bounds of what is a clamp: `linear`, `relu`, `relu6`, `clip`. */
  readonly low: number;
  readonly high: number;
  /** The line that `hardsigmoid` and `hardswish` bound by 0 and 1. */
  readonly alpha: number;
  readonly beta: number;
}

/**
 * @param name The `activation` attribute; `linear` if missing.
 * @param own Whether it is an activation of this package's own kernels.
 * @throws InvalidArgument if it is no activation of the kernel's, or `prelu` without slopes.
 */
export function checkActivation(name: string | undefined, hasSlope: boolean, own = false): Activation {
  const activation = name ?? 'linear';
  const allowed: readonly string[] = own ? ACTIVATIONS : TFJS_ACTIVATIONS;
  if (!allowed.includes(activation)) {
    throw new InvalidArgument(`activation is '${activation}'; allowed: ${allowed.join(', ')}.`);
  }
  if (activation === 'prelu' && !hasSlope) {
    throw new InvalidArgument("preluActivationWeights is missing; activation 'prelu' needs a tensor.");
  }
  return activation as Activation;
}

/** @throws InvalidArgument if a number that the activation has is none. */
export function activationConstants(
  activation: Activation,
  attributes: ActivationAttributes = {},
): ActivationConstants {
  const isClip = activation === 'clip';
  const isHardsigmoid = activation === 'hardsigmoid';
  const number = (name: keyof ActivationAttributes, isRead: boolean, otherwise: number) => {
    const value = (isRead ? attributes[name] : undefined) ?? otherwise;
    if (typeof value === 'number' && !Number.isNaN(value)) return value;
    throw new InvalidArgument(`${name} is ${describe(value)}; allowed: a number.`);
  };
  const isLinear = isClip || activation === 'linear';
  const constants = {
    low: number('clipMin', isClip, isLinear ? Number.NEGATIVE_INFINITY : 0),
    high: number('clipMax', isClip, activation === 'relu6' ? 6 : Number.POSITIVE_INFINITY),
    alpha: number('hardsigmoidAlpha', isHardsigmoid, isHardsigmoid ? 0.2 : 1 / 6),
    beta: number('hardsigmoidBeta', isHardsigmoid, 0.5),
  };
  if (constants.low > constants.high) {
    throw new InvalidArgument(
      `clipMin is ${constants.low} and clipMax ${constants.high}; allowed: a clipMin of at most clipMax.`,
    );
  }
  return constants;
}
