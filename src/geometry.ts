import {backend_util} from '@tensorflow/tfjs-core';
import {describe, InvalidArgument} from './describe.ts';

/** Strides or dilations, height first. */
export type ConvSteps = [number, number] | number;

/** The attributes of tfjs's convolution kernels. */
export interface ConvAttributes {
  /** Along the height and the width, in input pixels; one number is both. */
  strides: ConvSteps;
  /** As tfjs takes it. A number is of pixels, on all four sides; a list is of pairs, before and after. */
  pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  /** `'NHWC'` if missing. */
  dataFormat?: 'NHWC' | 'NCHW';
  /** 1 if missing, or `null`. */
  dilations?: ConvSteps;
  /** How an output size that is not whole is rounded; towards zero if missing. */
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/**
 * One convolution's sizes, in the words of tfjs's `Conv2DInfo`, checked. Every
 * later step reads these and never the attributes.
 */
export interface ConvGeometry {
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly batchSize: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly inChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  /** 1 along a side where the filter has at most one tap: nothing is dilated there. */
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  /** Negative where explicit padding crops the input. */
  readonly padTop: number;
  readonly padBottom: number;
  readonly padLeft: number;
  readonly padRight: number;
  readonly padType: 'SAME' | 'VALID' | 'NUMBER' | 'EXPLICIT';
  readonly outShape: readonly [number, number, number, number];
  /**
   * Of a depthwise convolution: filters for each input channel, the outputs of
   * one channel side by side. Missing where every output sees all channels.
   */
  readonly channelMultiplier?: number;
  /**
   * Where the first tap is in tfjs's filter, and tfjs's taps from one row to the next. Missing where all taps
   * are used: left out are those that no window has inside the image.
   */
  readonly cut?: {readonly row: number; readonly column: number; readonly rowTaps: number};
}

/** How {@link convGeometry} reads shapes. */
export interface GeometryOptions {
  readonly depthwise?: boolean;
  /** What errors call `xShape`. */
  readonly xName?: string;
}

/**
 * Turns a kernel call's shapes and attributes into a geometry. It takes strides, dilations and
 * pads in every form in which tfjs reads numbers from them: lists of two or more, of
 * which the first two count, typed arrays, and a number inside a list of its own.
 *
 * @param xShape `[batch, height, width, inChannels]`, or
 *     `[batch, inChannels, height, width]` for `NCHW`.
 * @param filterShape `[filterHeight, filterWidth, inChannels, outChannels]`;
 *     for a depthwise one the last is the channel multiplier.
 * @throws InvalidArgument if a shape or an attribute is not one a convolution can have;
 *     the message names it, its value and what is allowed.
 */
export function convGeometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  attributes: ConvAttributes,
  {depthwise = false, xName = 'x'}: GeometryOptions = {},
): ConvGeometry {
  const {dimRoundingMode} = attributes;
  const dataFormat = attributes.dataFormat ?? 'NHWC';
  if (dataFormat !== 'NHWC' && dataFormat !== 'NCHW') {
    fail('dataFormat', dataFormat, "'NHWC' or 'NCHW'");
  }
  checkShape(xName, xShape);
  checkShape('filter', filterShape);
  const inChannels = dataFormat === 'NHWC' ? xShape[3] : xShape[1];
  if (filterShape[2] !== inChannels) {
    fail(
      'filter',
      `shape [${filterShape}]`,
      `shape[2] = ${inChannels}, the channels of ${xName} [${xShape}]`,
    );
  }
  const {strides, dilations, pad} = readWindows(attributes);

  const info = backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
    backend_util.convertConv2DDataFormat(dataFormat),
  );
  if (info.outHeight < 0 || info.outWidth < 0) {
    throw new InvalidArgument(
      `the output of ${xName} [${xShape}] and filter [${filterShape}] with strides ${strides}, pad ${describe(pad)} and ` +
        `dilations ${dilations} would be ${info.outHeight} × ${info.outWidth}; the padded input must not be smaller ` +
        'than the dilated filter by more than one stride.',
    );
  }
  const {outShape} = info;
  if (!outShape.every(Number.isSafeInteger)) {
    fail('pad', describe(pad), `one with which the output, [${outShape}], can be counted`);
  }
  return {
    dataFormat,
    batchSize: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    inChannels: info.inChannels,
    outHeight: positiveZero(info.outHeight),
    outWidth: positiveZero(info.outWidth),
    outChannels: info.outChannels,
    filterHeight: info.filterHeight,
    filterWidth: info.filterWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    dilationHeight: info.filterHeight <= 1 ? 1 : info.dilationHeight,
    dilationWidth: info.filterWidth <= 1 ? 1 : info.dilationWidth,
    padTop: info.padInfo.top,
    padBottom: info.padInfo.bottom,
    padLeft: info.padInfo.left,
    padRight: info.padInfo.right,
    padType: info.padInfo.type as ConvGeometry['padType'],
    outShape: outShape.map(positiveZero) as [number, number, number, number],
    ...(depthwise ? {channelMultiplier: filterShape[3]} : {}),
  };
}

/** Input rows that the windows of some output rows span, padding among them. */
export function inputRowsUnder(
  {strideHeight, filterHeight, dilationHeight}: ConvGeometry,
  outRows: number,
): number {
  return (outRows - 1) * strideHeight + (filterHeight - 1) * dilationHeight + 1;
}

/**
 * Strides, dilations and pad as plain numbers.
 *
 * @throws InvalidArgument if they are none that a convolution can have.
 */
export function readWindows(attributes: Pick<ConvAttributes, 'strides' | 'dilations' | 'pad'>) {
  return {
    strides: readSteps('strides', attributes.strides),
    dilations: readSteps('dilations', attributes.dilations ?? 1),
    pad: readPad(attributes.pad),
  };
}

function checkShape(name: string, shape: readonly number[]): void {
  if (shape.length !== 4) {
    fail(name, `shape [${shape}] of rank ${shape.length}`, 'rank 4');
  }
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    fail(name, `shape [${shape}]`, 'integers of at least 0');
  }
}

/** Reads them as tfjs does. `conv1d` hands on what it was given inside a list. */
function readSteps(name: string, steps: unknown): [number, number] {
  const values = isList(steps) ? steps : [steps, steps];
  const [height = 0, width = 0] = [number(values[0]), number(values[1])];
  if (height < 1 || width < 1) fail(name, describe(steps), 'an integer of at least 1, or a pair of them');
  return [height, width];
}

function readPad(pad: unknown): 'same' | 'valid' | number | backend_util.ExplicitPadding {
  if (pad === 'same' || pad === 'valid') return pad;
  if (typeof pad === 'number' && number(pad) !== undefined) return pad;
  const sides = isList(pad) ? Array.from(pad, (side) => (isList(side) ? Array.from(side, number) : [])) : [];
  if (sides.length < 3 || sides.some((side) => side.length !== 2 || side.includes(undefined))) {
    fail('pad', describe(pad), "'same', 'valid', an integer, or four pairs of integers");
  }
  // The last pair may be missing, because tfjs does not read it.
  return [...sides, [0, 0]].slice(0, 4) as backend_util.ExplicitPadding;
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** An integer, or a list of one integer, which JavaScript's arithmetic takes for that integer. */
function number(value: unknown): number | undefined {
  const own = isList(value) && value.length === 1 ? value[0] : value;
  return Number.isSafeInteger(own) ? (own as number) : undefined;
}

// tfjs rounds towards zero, and so sometimes to -0.
function positiveZero(value: number): number {
  return value + 0;
}

function fail(name: string, value: string, allowed: string): never {
  throw new InvalidArgument(`${name} is ${value}; allowed: ${allowed}.`);
}
