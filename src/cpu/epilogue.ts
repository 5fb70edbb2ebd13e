import type {Activation} from '../activation.ts';
import type {OperandStrides} from '../operand.ts';

/** A bias or slope and how it is spread over the output. */
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

export type Finish = (sum: number, image: number, row: number, pixel: number, channel: number) => number;

/** Bias and activation, as tfjs's cpu backend computes them. */
export function makeFinish({bias, slope, activation, leakyreluAlpha}: CpuConv): Finish {
  const activate = ACTIVATE[activation];
  return (sum, image, row, pixel, channel) => {
    const biased = bias === undefined ? sum : sum + operandAt(bias, image, row, pixel, channel);
    const alpha = slope === undefined ? leakyreluAlpha : operandAt(slope, image, row, pixel, channel);
    return activate(biased, alpha);
  };
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
  relu: (v) => Math.max(0, v),
  relu6: (v) => Math.min(6, Math.max(0, v)),
  prelu: slope,
  leakyrelu: slope,
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
  elu: (v) => (v < 0 ? Math.expm1(v) : v),
};
