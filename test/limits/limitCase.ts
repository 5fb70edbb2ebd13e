// One call at a limit, as plain data: it is sent to a process of its own.
import * as tf from '@tensorflow/tfjs-core';

export type Op =
  | 'conv2d'
  | 'fused.conv2d'
  | 'im2winConv2d'
  | 'depthwiseConv2d'
  | 'fused.depthwiseConv2d'
  | 'conv2dTranspose'
  | 'Conv2DBackpropInput'
  | 'Conv2DBackpropFilter'
  | 'DepthwiseConv2dNativeBackpropInput'
  | 'DepthwiseConv2dNativeBackpropFilter';

type Shape = readonly number[];

export interface LimitCall {
  readonly op: Op;
  /** In the order of the data format. Of a gradient with respect to x, the shape that is asked for. */
  readonly xShape: Shape;
  /** [height, width, inChannels, outChannels or channelMultiplier] */
  readonly filterShape: Shape;
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pad: 'same' | 'valid' | tf.backend_util.ExplicitPadding;
  readonly dataFormat: 'NHWC' | 'NCHW';
  /** Of a gradient, where it is not the shape of the convolution's output. */
  readonly dyShape?: Shape;
}

export interface LimitCase {
  readonly call: LimitCall;
  readonly backend: 'wasm' | 'cpu';
  /** Of our kernels; 'auto' on cpu. */
  readonly simd: 'strict' | 'relaxed' | 'auto';
}

const DEPTHWISE: readonly Op[] = [
  'depthwiseConv2d',
  'fused.depthwiseConv2d',
  'DepthwiseConv2dNativeBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
];
const INPUT_GRADIENTS: readonly Op[] = [
  'conv2dTranspose',
  'Conv2DBackpropInput',
  'DepthwiseConv2dNativeBackpropInput',
];
const FILTER_GRADIENTS: readonly Op[] = ['Conv2DBackpropFilter', 'DepthwiseConv2dNativeBackpropFilter'];

export type Computes = 'output' | 'inputGradient' | 'filterGradient';

export function computes(op: Op): Computes {
  if (INPUT_GRADIENTS.includes(op)) return 'inputGradient';
  return FILTER_GRADIENTS.includes(op) ? 'filterGradient' : 'output';
}

export const isFused = (op: Op) => op === 'fused.conv2d' || op === 'fused.depthwiseConv2d';

/** One side of a convolution: output o sees by tap k the input o · stride - pad + k · dilation. */
export interface Side {
  readonly input: number;
  readonly output: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

export interface Sizes {
  readonly batch: number;
  readonly rows: Side;
  readonly columns: Side;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Of a depthwise convolution. */
  readonly multiplier?: number;
  readonly outShape: Shape;
}

/** tfjs's own sizes and padding. */
export function sizesOf({op, xShape, filterShape, strides, dilations, pad, dataFormat}: LimitCall): Sizes {
  const depthwise = DEPTHWISE.includes(op);
  const info = tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides as [number, number],
    dilations as [number, number],
    pad,
    undefined,
    depthwise,
    dataFormat === 'NHWC' ? 'channelsLast' : 'channelsFirst',
  );
  return {
    batch: info.batchSize,
    rows: {
      input: info.inHeight,
      output: info.outHeight + 0, // tfjs rounds to -0 at times
      taps: info.filterHeight,
      stride: info.strideHeight,
      dilation: info.dilationHeight,
      pad: info.padInfo.top,
    },
    columns: {
      input: info.inWidth,
      output: info.outWidth + 0,
      taps: info.filterWidth,
      stride: info.strideWidth,
      dilation: info.dilationWidth,
      pad: info.padInfo.left,
    },
    inChannels: info.inChannels,
    outChannels: info.outChannels,
    ...(depthwise ? {multiplier: filterShape[3]} : {}),
    outShape: info.outShape.map((size) => size + 0),
  };
}

export function outChannelsOf({op, filterShape}: LimitCall): number {
  return filterShape[3] * (DEPTHWISE.includes(op) ? filterShape[2] : 1);
}

export const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);

/** The shape of what a call gives. */
export function resultShape(call: LimitCall): Shape {
  const what = computes(call.op);
  if (what === 'output') return sizesOf(call).outShape;
  return what === 'inputGradient' ? call.xShape : call.filterShape;
}

/** The shapes of what a call is given. */
export function inputShapes(call: LimitCall): Readonly<Record<'x' | 'filter' | 'dy', Shape | undefined>> {
  const what = computes(call.op);
  return {
    x: what === 'inputGradient' ? undefined : call.xShape,
    filter: what === 'filterGradient' ? undefined : call.filterShape,
    dy: what === 'output' ? undefined : (call.dyShape ?? sizesOf(call).outShape),
  };
}

export function callName({op, xShape, filterShape, ...call}: LimitCall): string {
  const pair = (name: string, [a, b]: readonly [number, number]) =>
    a === 1 && b === 1 ? '' : ` ${name} ${a === b ? power(a) : `${power(a)},${power(b)}`}`;
  const pad = typeof call.pad === 'string' ? call.pad : `pad ${call.pad.flat().map(power)}`;
  return (
    `${op} [${xShape.map(power)}] [${filterShape.map(power)}]${pair('stride', call.strides)}` +
    `${pair('dilation', call.dilations)} ${pad}${call.dataFormat === 'NCHW' ? ' NCHW' : ''}` +
    `${call.dyShape === undefined ? '' : ` of [${call.dyShape}]`}`
  );
}

export const caseName = ({call, backend, simd}: LimitCase) =>
  `${backend}${simd === 'auto' ? '' : ` ${simd}`}: ${callName(call)}`;

/** 65536 as 2^16, 2147483647 as 2^31-1. */
function power(value: number): string {
  const magnitude = Math.abs(value);
  const exponent = Math.round(Math.log2(magnitude));
  const rest = magnitude - 2 ** exponent;
  if (!(magnitude >= 2 ** 14) || Math.abs(rest) > 2 ** 12) return `${value}`;
  return `${value < 0 ? '-' : ''}2^${exponent}${rest === 0 ? '' : rest > 0 ? `+${rest}` : rest}`;
}
