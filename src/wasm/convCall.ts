import type {Activation} from '../activation.ts';

// The fields of `ConvCall` in kernels/call.h, in 32-bit words.
const SEGMENT_LENGTH = 0;
const SEGMENTS = 1;
const SEGMENT_STRIDE = 2;
const OUT_CHANNELS = 3;
const PANELS = 4;
const ROW_LENGTH = 5;
const WINDOW_STRIDE = 6;
const WINDOW_ROW_STRIDE = 7;
const OUT_PIXEL_STRIDE = 8;
const OUT_ROW_STRIDE = 9;
const ACTIVATION = 10;
const LOW = 11;
const HIGH = 12;
const BIAS = 13;
const SLOPE = 17;
const ALPHA = 21;

/** The bytes of a call descriptor and its scratch, rounded up to a cache line. */
export const CALL_BYTES = 320;

/** A bias or slope as `Operand` in kernels/call.h; data 0 where there is none. */
export interface CallOperand {
  readonly data: number;
  readonly rowStride: number;
  readonly pixelStride: number;
  readonly channelStride: number;
}

export interface CallWindows {
  readonly segmentLength: number;
  readonly segments: number;
  readonly segmentStride: number;
  readonly panels: number;
  readonly windowStride: number;
  readonly windowRowStride: number;
}

export interface CallOutput {
  readonly outChannels: number;
  readonly rowLength: number;
  readonly outPixelStride: number;
  readonly outRowStride: number;
}

export const NO_OPERAND: CallOperand = {data: 0, rowStride: 0, pixelStride: 0, channelStride: 0};

const KINDS: Record<Activation, number> = {
  linear: 0,
  relu: 0,
  relu6: 0,
  prelu: 1,
  leakyrelu: 1,
  sigmoid: 2,
  elu: 3,
};

/** Writes the call descriptor that lies at `offset`, field by field. */
export class ConvCall {
  private readonly word: number;
  readonly offset: number;
  private readonly ints: Int32Array;
  private readonly floats: Float32Array;

  constructor(offset: number, ints: Int32Array, floats: Float32Array) {
    this.offset = offset;
    this.ints = ints;
    this.floats = floats;
    this.word = offset >>> 2;
  }

  writeWindows(windows: CallWindows): void {
    const {ints, word} = this;
    ints[word + SEGMENT_LENGTH] = windows.segmentLength;
    ints[word + SEGMENTS] = windows.segments;
    ints[word + SEGMENT_STRIDE] = windows.segmentStride;
    ints[word + PANELS] = windows.panels;
    ints[word + WINDOW_STRIDE] = windows.windowStride;
    ints[word + WINDOW_ROW_STRIDE] = windows.windowRowStride;
  }

  writeOutput(output: CallOutput): void {
    const {ints, word} = this;
    ints[word + OUT_CHANNELS] = output.outChannels;
    ints[word + ROW_LENGTH] = output.rowLength;
    ints[word + OUT_PIXEL_STRIDE] = output.outPixelStride;
    ints[word + OUT_ROW_STRIDE] = output.outRowStride;
  }

  writeActivation(activation: Activation, leakyreluAlpha: number): void {
    const {ints, floats, word} = this;
    ints[word + ACTIVATION] = KINDS[activation];
    floats[word + LOW] = activation === 'linear' ? Number.NEGATIVE_INFINITY : 0;
    floats[word + HIGH] = activation === 'relu6' ? 6 : Number.POSITIVE_INFINITY;
    floats[word + ALPHA] = leakyreluAlpha;
  }

  writeBias(bias: CallOperand): void {
    this.writeOperand(BIAS, bias);
  }

  writeSlope(slope: CallOperand): void {
    this.writeOperand(SLOPE, slope);
  }

  writeNoOperands(): void {
    this.writeOperand(BIAS, NO_OPERAND);
    this.writeOperand(SLOPE, NO_OPERAND);
  }

  /** The slope operand of a leakyrelu: one value for the whole output. */
  leakySlope(): CallOperand {
    return {data: this.offset + 4 * ALPHA, rowStride: 0, pixelStride: 0, channelStride: 0};
  }

  private writeOperand(field: number, operand: CallOperand): void {
    const {ints, word} = this;
    ints[word + field] = operand.data;
    ints[word + field + 1] = operand.rowStride;
    ints[word + field + 2] = operand.pixelStride;
    ints[word + field + 3] = operand.channelStride;
  }
}
