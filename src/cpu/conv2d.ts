import type {Activation} from '../activation.ts';
import type {ConvGeometry} from '../geometry.ts';
import type {OperandStrides} from '../operand.ts';
import type {Im2winPlan} from '../plan.ts';
import {gatherStrip, layoutStrides} from './gather.ts';
import {MR, NR, tile} from './tile.ts';

/** A bias or slope and how it is spread over the output. */
export interface CpuOperand {
  readonly values: ArrayLike<number>;
  readonly strides: OperandStrides;
}

export interface CpuConv {
  readonly x: ArrayLike<number>;
  readonly panels: Float64Array;
  /** At least as long as the plan's strip. */
  readonly strip: Float64Array;
  readonly bias?: CpuOperand;
  readonly slope?: CpuOperand;
  readonly activation: Activation;
  readonly leakyreluAlpha: number;
}

/**
 * Strips of one output row after the other, times every panel; summed in double
 * precision and rounded once.
 *
 * @returns The output, in the geometry's data format.
 */
export function convolveCpu(geometry: ConvGeometry, plan: Im2winPlan, conv: CpuConv): Float32Array {
  const {batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels, filterWidth} = geometry;
  const {strip} = plan;
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  if (output.length === 0) return output;
  const xStrides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const yStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const finish = makeFinish(conv);
  const sums = new Float64Array(MR * NR);

  for (let phase = 0; phase < strip.phases && phase < outWidth; ++phase) {
    const rowLength = Math.ceil((outWidth - phase) / strip.phases);
    const columns = {
      first: phase * geometry.strideWidth - geometry.padLeft,
      step: strip.columnStep,
      columns: strip.grouped
        ? filterWidth
        : (rowLength - 1) * (strip.windowStep / strip.columnStep) + filterWidth,
      groupStep: strip.windowStep,
      groups: strip.grouped ? rowLength : 1,
    };
    for (let image = 0; image < batchSize; ++image) {
      for (let row = 0; row < outHeight; ++row) {
        gatherStrip(conv.strip, conv.x, image * xStrides.batch, xStrides, geometry, row, columns);
        let panel = 0;
        for (let n = 0; n < outChannels; n += NR) {
          const width = Math.min(NR, outChannels - n);
          for (let j = 0; j < rowLength; j += MR) {
            const count = Math.min(MR, rowLength - j);
            const a = j * strip.windowStride;
            // A last tile that is not full computes its first window again.
            tile(
              conv.strip,
              a,
              count > 1 ? a + strip.windowStride : a,
              count > 2 ? a + 2 * strip.windowStride : a,
              conv.panels,
              panel,
              strip.depth,
              sums,
            );
            for (let i = 0; i < count; ++i) {
              const pixel = phase + (j + i) * strip.phases;
              let to =
                image * yStrides.batch + row * yStrides.row + pixel * yStrides.pixel + n * yStrides.channel;
              for (let channel = 0; channel < width; ++channel) {
                output[to] = finish(sums[i * NR + channel], image, row, pixel, n + channel);
                to += yStrides.channel;
              }
            }
          }
          panel += strip.depth * NR;
        }
      }
    }
  }
  return output;
}

type Finish = (sum: number, image: number, row: number, pixel: number, channel: number) => number;

/** Bias and activation, as tfjs's cpu backend computes them. */
function makeFinish({bias, slope, activation, leakyreluAlpha}: CpuConv): Finish {
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
