import type {Activation} from '../activation.ts';
import type {OperandStrides} from '../operand.ts';
import {type CallOperand, type ConvCall, NO_OPERAND} from './convCall.ts';

/** A bias or slope in the heap. */
export interface PlacedOperand {
  readonly offset: number;
  readonly strides: OperandStrides;
}

/** The first output pixel of a block, and its pixels' distance. */
export interface BlockPlace {
  readonly image: number;
  readonly row: number;
  readonly pixel: number;
  readonly pixelStep: number;
}

/** A convolution's activation, bias and slope, and what a block of it sees of them. */
export class EpilogueOperands {
  private readonly activation: Activation;
  private readonly leakyreluAlpha: number;
  private readonly bias: PlacedOperand | undefined;
  private readonly slope: PlacedOperand | undefined;

  constructor(
    activation: Activation,
    leakyreluAlpha: number,
    bias: PlacedOperand | undefined,
    slope: PlacedOperand | undefined,
  ) {
    this.activation = activation;
    this.leakyreluAlpha = leakyreluAlpha;
    this.bias = bias;
    this.slope = slope;
  }

  /**
   * Whether the rows of all images can be counted through as if they were one
   * image's.
   */
  goesOnFromImageToImage(outHeight: number): boolean {
    return [this.bias, this.slope].every(
      (operand) => operand === undefined || operand.strides.batch === outHeight * operand.strides.row,
    );
  }

  /** Writes all that stays the same from block to block. */
  writeActivation(call: ConvCall): void {
    call.writeActivation(this.activation, this.leakyreluAlpha);
  }

  /** Writes where a block's bias and slopes begin. */
  writeOperands(call: ConvCall, at: BlockPlace): void {
    call.writeBias(operandAt(this.bias, at));
    call.writeSlope(this.activation === 'leakyrelu' ? call.leakySlope() : operandAt(this.slope, at));
  }
}

function operandAt(operand: PlacedOperand | undefined, at: BlockPlace): CallOperand {
  if (operand === undefined) return NO_OPERAND;
  const {batch, row, pixel, channel} = operand.strides;
  return {
    data: operand.offset + 4 * (at.image * batch + at.row * row + at.pixel * pixel),
    rowStride: row,
    pixelStride: at.pixelStep * pixel,
    channelStride: channel,
  };
}
