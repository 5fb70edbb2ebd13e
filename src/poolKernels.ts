// The gradient of a max pooling: what is valid. tfjs's kernel on wasm loses what windows without a positive value
// should hand back.
import {backend_util, MaxPoolGrad} from '@tensorflow/tfjs-core';
import {type AroundKernel, EMPTY, INVALID} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {type Pooling, poolGradientLoad} from './pooling.ts';
import type {TensorSpec} from './tensorSpec.ts';

/** Unchecked. */
export interface PoolAttributes {
  readonly filterSize?: number | [number, number];
  readonly strides?: number | [number, number];
  readonly pad?: Parameters<typeof backend_util.computePool2DInfo>[4];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** The windows, or `undefined` if tfjs-core refuses them. */
function poolingOf(
  shape: readonly number[],
  {filterSize, strides, pad, dimRoundingMode}: PoolAttributes,
): {readonly pooling: Pooling; readonly outShape: readonly number[]} | undefined {
  if (shape.length !== 4 || filterSize === undefined || strides === undefined || pad === undefined) {
    return undefined;
  }
  try {
    const image = shape as [number, number, number, number];
    const info = backend_util.computePool2DInfo(image, filterSize, strides, 1, pad, dimRoundingMode);
    const {batchSize, inHeight, inWidth, outHeight, outWidth, outShape, padInfo} = info;
    const {filterHeight, filterWidth, strideHeight, strideWidth, inChannels: channels} = info;
    const sizes = {batchSize, channels, inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth};
    const pads = {padTop: padInfo.top, padLeft: padInfo.left};
    return {pooling: {...sizes, strideHeight, strideWidth, ...pads}, outShape};
  } catch {
    return undefined;
  }
}

// What the kernel counts with: signed words of 32 bits.
const REACH = 2 ** 31;

function isCountable({padTop, padLeft, ...sizes}: Pooling): boolean {
  const {outHeight, outWidth, strideHeight, strideWidth, filterHeight, filterWidth} = sizes;
  const whole =
    Object.values(sizes).every((size) => !(size < 1)) && [padTop, padLeft].every(Number.isInteger);
  const height = outHeight * strideHeight + filterHeight + Math.abs(padTop);
  const width = outWidth * strideWidth + filterWidth + Math.abs(padLeft);
  return whole && Math.max(height, width) < REACH;
}

const maxPoolGrad: AroundKernel<PoolAttributes> = {
  name: MaxPoolGrad,
  op: "tf.maxPool's gradient",
  inputs: ['dy', 'input'],
  added: true,
  sign(signature, {attrs}) {
    signature.list(attrs?.filterSize);
    signature.list(attrs?.strides);
    signature.add(typeof attrs?.pad === 'object' ? String(attrs.pad) : attrs?.pad);
    signature.add(attrs?.dimRoundingMode);
  },
  plan(operands, attrs) {
    const [dy, x] = operands as readonly TensorSpec[];
    const other = [dy, x].find(({dtype}) => dtype !== 'float32');
    if (other !== undefined) return `a tensor has dtype ${other.dtype}`;
    const own = poolingOf(x.shape, attrs);
    if (own === undefined || own.outShape.join() !== dy.shape.join()) return INVALID;
    if (sizeOf(x.shape) === 0) return EMPTY;
    const {pooling} = own;
    if (!isCountable(pooling)) return INVALID;
    return {
      algorithm: 'pool gradient',
      outputs: [x],
      work: {record: 'poolGradient', pooling},
      load: poolGradientLoad(pooling),
    };
  },
};

export const POOL_KERNELS: readonly AroundKernel[] = [maxPoolGrad];
