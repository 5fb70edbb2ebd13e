import {backend_util} from '@tensorflow/tfjs-core';
import {describe} from './describe.ts';

/** The attributes of tfjs's convolution kernels. */
export interface ConvAttributes {
  /** Along the height and the width, in input pixels; one number is both. */
  strides: [number, number] | number;
  /** As tfjs takes it. A number is of pixels, on all four sides; a list is of pairs, before and after. */
  pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  /** `'NHWC'` if missing. */
  dataFormat?: 'NHWC' | 'NCHW';
  /** 1 if missing; some callers have null. */
  dilations?: [number, number] | number;
  /** How an output size that is not whole is rounded; cut off if missing. */
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
  /** 1 along a side where the filter has one tap: nothing is dilated there. */
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
}

/**
 * Turns a kernel call's shapes and attributes into a geometry.
 *
 * @param xShape `[batch, height, width, inChannels]`, or
 *     `[batch, inChannels, height, width]` for `NCHW`.
 * @param filterShape `[filterHeight, filterWidth, inChannels, outChannels]`;
 *     for a depthwise one the last is the channel multiplier.
 * @throws Error if a shape or an attribute is not one a convolution can have;
 *     the message names it, its value and what is allowed.
 */
export function convGeometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  attributes: ConvAttributes,
  depthwise = false,
): ConvGeometry {
  const {strides, pad, dimRoundingMode} = attributes;
  const dilations = attributes.dilations ?? 1;
  const dataFormat = attributes.dataFormat ?? 'NHWC';
  if (dataFormat !== 'NHWC' && dataFormat !== 'NCHW') {
    fail('dataFormat', dataFormat, "'NHWC' or 'NCHW'");
  }
  checkShape('x', xShape, 0);
  checkShape('filter', filterShape, 2);
  const inChannels = dataFormat === 'NHWC' ? xShape[3] : xShape[1];
  if (filterShape[2] !== inChannels) {
    fail('filter', `shape [${filterShape}]`, `shape[2] = ${inChannels}, the channels of x [${xShape}]`);
  }
  checkWindows({strides, dilations, pad});

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
    throw new Error(
      `im2win: the output of x [${xShape}] and filter [${filterShape}] with strides ${strides}, pad ${describe(pad)} and ` +
        `dilations ${dilations} would be ${info.outHeight} × ${info.outWidth}; the padded input must not be smaller ` +
        'than the dilated filter by more than one stride.',
    );
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
    dilationHeight: info.filterHeight === 1 ? 1 : info.dilationHeight,
    dilationWidth: info.filterWidth === 1 ? 1 : info.dilationWidth,
    padTop: info.padInfo.top,
    padBottom: info.padInfo.bottom,
    padLeft: info.padInfo.left,
    padRight: info.padInfo.right,
    padType: info.padInfo.type as ConvGeometry['padType'],
    outShape: info.outShape.map(positiveZero) as [number, number, number, number],
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

/** @throws Error if strides, dilations or padding are none that a convolution can have. */
export function checkWindows({strides, dilations, pad}: ConvAttributes): void {
  checkPair('strides', strides);
  checkPair('dilations', dilations ?? 1);
  checkPad(pad);
}

function checkShape(name: string, shape: readonly number[], sides: number): void {
  if (shape.length !== 4) {
    fail(name, `shape [${shape}] of rank ${shape.length}`, 'rank 4');
  }
  if (shape.slice(0, sides).some((size) => size < 1)) {
    fail(name, `shape [${shape}]`, 'a height and width of at least 1');
  }
}

function checkPair(name: string, pair: unknown): void {
  const values = Array.isArray(pair) ? pair : [pair, pair];
  if (values.length !== 2 || values.some((v) => !Number.isInteger(v) || v < 1)) {
    fail(name, describe(pair), 'an integer of at least 1, or a pair of them');
  }
}

function checkPad(pad: ConvAttributes['pad']): void {
  if (pad === 'same' || pad === 'valid' || Number.isInteger(pad)) return;
  const sides: unknown = pad;
  const explicit =
    Array.isArray(sides) &&
    sides.length === 4 &&
    sides.every((side) => Array.isArray(side) && side.length === 2 && side.every((v) => Number.isInteger(v)));
  if (!explicit) {
    fail('pad', describe(pad), "'same', 'valid', an integer, or four pairs of integers");
  }
}

// tfjs rounds towards zero, and so sometimes to -0.
function positiveZero(value: number): number {
  return value + 0;
}

function fail(name: string, value: string, allowed: string): never {
  throw new Error(`im2win: ${name} is ${value}; allowed: ${allowed}.`);
}
