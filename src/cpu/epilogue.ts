import {type Activation, type ActivationConstants, activationConstants} from '../activation.ts';
import type {OperandStrides} from '../operand.ts';

/** A bias, slopes or a residual, and how they are spread over the output. */
export interface CpuOperand {
  readonly values: ArrayLike<number>;
  readonly strides: OperandStrides;
}

export interface CpuConv {
  readonly x: ArrayLike<number>;
  readonly panels: Float64Array;
  /** Scratch, at least as long as the plan needs. */
  readonly workspace: Float64Array;
  readonly bias?: CpuOperand;
  readonly slope?: CpuOperand;
  readonly residual?: CpuOperand;
  readonly residualAfterActivation?: boolean;
  readonly activation: Activation;
  /** The activation's own if missing. */
  readonly constants?: ActivationConstants;
  readonly leakyreluAlpha: number;
}

/** Adds bias and residual to a sum, and applies the activation. */
export type Finish = (sum: number, image: number, row: number, pixel: number, channel: number) => number;

/** Bias, activation and residual, as tfjs's cpu backend computes them. */
export interface Epilogue {
  /**
   * Whether `bias`, `low` and `high` are all that there is: a bias for each channel (zeros if there is none) and a
   * clamp. The caller computes this usual case itself, without a call of `finish`.
   */
  readonly byChannel: boolean;
  readonly bias: Float64Array;
  readonly low: number;
  readonly high: number;
  /** Computes every case. */
  readonly finish: Finish;
}

export function makeEpilogue(
  conv: Omit<CpuConv, 'x' | 'panels' | 'workspace'>,
  outChannels: number,
): Epilogue {
  const {bias, slope, residual, residualAfterActivation, activation, leakyreluAlpha} = conv;
  const constants = conv.constants ?? activationConstants(activation);
  const activate = ACTIVATE[activation];
  const flat = bias === undefined || (bias.strides.batch | bias.strides.row | bias.strides.pixel) === 0;
  const perChannel = new Float64Array(outChannels);
  if (bias !== undefined && flat) {
    for (let n = 0; n < outChannels; ++n) perChannel[n] = bias.values[n * bias.strides.channel];
  }
  return {
    byChannel: activate === bounded && flat && residual === undefined,
    bias: perChannel,
    low: constants.low,
    high: constants.high,
    finish(sum, image, row, pixel, channel) {
      const biased = bias === undefined ? sum : sum + operandAt(bias, image, row, pixel, channel);
      const alpha = slope === undefined ? leakyreluAlpha : operandAt(slope, image, row, pixel, channel);
      if (residual === undefined) return activate(biased, alpha, constants);
      const further = operandAt(residual, image, row, pixel, channel);
      return residualAfterActivation
        ? activate(biased, alpha, constants) + further
        : activate(biased + further, alpha, constants);
    },
  };
}

/** A value within bounds; NaN stays NaN. */
export function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

function operandAt(
  {values, strides}: CpuOperand,
  image: number,
  row: number,
  pixel: number,
  channel: number,
): number {
  return values[
    image * strides.batch + row * strides.row + pixel * strides.pixel + channel * strides.channel
  ];
}

type Activate = (v: number, slope: number, constants: ActivationConstants) => number;

const bounded: Activate = (v, _, {low, high}) => clamp(v, low, high);
const sloped: Activate = (v, slope) => (v < 0 ? v * slope : v);
const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
/** Of kernels/activation.h. */
const GELU = [
  3.61127861e-9, -2.66894943e-7, 7.93825438e-6, -1.10480585e-4, -6.62590901e-5, 7.26685673e-2, 1.59576845,
];
const gelu = (v: number) => {
  const square = Math.min(v * v, 30.25);
  return v * sigmoid(v * GELU.reduce((sum, factor) => sum * square + factor));
};
const hardsigmoid: Activate = (v, _, {alpha, beta}) => clamp(alpha * v + beta, 0, 1);

const ACTIVATE: Record<Activation, Activate> = {
  linear: bounded,
  relu: bounded,
  relu6: bounded,
  clip: bounded,
  prelu: sloped,
  leakyrelu: sloped,
  sigmoid,
  elu: (v) => (v < 0 ? Math.expm1(v) : v),
  tanh: Math.tanh,
  silu: (v) => v * sigmoid(v),
  gelu,
  gelu_new: (v) => v * sigmoid(v * (1.5957691216 + 0.0713548163 * v * v)),
  hardsigmoid,
  hardswish: (v, slope, constants) => v * hardsigmoid(v, slope, constants),
};
