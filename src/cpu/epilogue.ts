import type {Activation} from '../activation.ts';
import type {OperandStrides} from '../operand.ts';

/** A bias or slopes, and how they are spread over the output. */
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
  readonly activation: Activation;
  readonly leakyreluAlpha: number;
}

/** Adds the bias to a sum, and applies the activation. */
export type Finish = (sum: number, image: number, row: number, pixel: number, channel: number) => number;

/** Bias and activation, as tfjs's cpu backend computes them. */
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
  {bias, slope, activation, leakyreluAlpha}: Omit<CpuConv, 'x' | 'panels' | 'workspace'>,
  outChannels: number,
): Epilogue {
  const activate = ACTIVATE[activation];
  const clamps = activation === 'linear' || activation === 'relu' || activation === 'relu6';
  const flat = bias === undefined || (bias.strides.batch | bias.strides.row | bias.strides.pixel) === 0;
  const perChannel = new Float64Array(outChannels);
  if (bias !== undefined && flat) {
    for (let n = 0; n < outChannels; ++n) perChannel[n] = bias.values[n * bias.strides.channel];
  }
  return {
    byChannel: clamps && flat,
    bias: perChannel,
    low: activation === 'linear' ? Number.NEGATIVE_INFINITY : 0,
    high: activation === 'relu6' ? 6 : Number.POSITIVE_INFINITY,
    finish(sum, image, row, pixel, channel) {
      const biased = bias === undefined ? sum : sum + operandAt(bias, image, row, pixel, channel);
      const alpha = slope === undefined ? leakyreluAlpha : operandAt(slope, image, row, pixel, channel);
      return activate(biased, alpha);
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

const slope = (v: number, alpha: number) => (v < 0 ? v * alpha : v);

const ACTIVATE: Record<Activation, (v: number, alpha: number) => number> = {
  linear: (v) => v,
  relu: (v) => clamp(v, 0, Number.POSITIVE_INFINITY),
  relu6: (v) => clamp(v, 0, 6),
  prelu: slope,
  leakyrelu: slope,
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
  elu: (v) => (v < 0 ? Math.expm1(v) : v),
};
