// The kernels that pool images: what each of their calls is known by, what is valid, and what it comes to.
import {AvgPool, backend_util, MaxPool} from '@tensorflow/tfjs-core';
import {type AroundKernel, EMPTY, INVALID, type Planned} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {copyAll} from './move.ts';
import {type PoolGeometry, poolingLoad, poolingOf} from './pooling.ts';
import {bytesOf, type TensorSpec} from './tensorSpec.ts';

/** Unchecked. */
export interface PoolAttributes {
  readonly filterSize?: number | readonly number[];
  readonly strides?: number | readonly number[];
  readonly pad?: 'valid' | 'same' | number | readonly (readonly number[])[];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/* @__NO_SIDE_EFFECTS__ */
function kernelOf(name: string, op: string, averages: boolean): AroundKernel<PoolAttributes> {
  return {
    name,
    op,
    inputs: ['x'],
    sign(signature, {attrs}) {
      const {filterSize, strides, pad, dimRoundingMode} = attrs ?? {};
      signature.list(filterSize);
      signature.list(strides);
      signature.add(dimRoundingMode);
      signature.add(typeof pad);
      if (!Array.isArray(pad)) {
        signature.add(pad as string | number | undefined);
        return;
      }
      signature.add(pad.length);
      for (const pair of pad) signature.list(pair);
    },
    plan: (inputs, attrs) => planPool(inputs[0] as TensorSpec, attrs, averages),
  };
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

const areSizes = (value: unknown): boolean =>
  isSize(value) || (Array.isArray(value) && value.length === 2 && value.every(isSize));

const isPad = (pad: unknown): boolean => pad === 'valid' || pad === 'same' || Number.isSafeInteger(pad);

const arePads = (pad: unknown): boolean =>
  Array.isArray(pad) &&
  pad.length === 4 &&
  pad.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger));

// The kernels count rows and columns in signed words.
const REACH = 2 ** 31;

/** @returns The geometry, the shape of its output in it, or why it is none. */
function geometryOf(
  shape: readonly number[],
  attrs: PoolAttributes,
): {geometry: PoolGeometry; outShape: number[]} | string {
  const {filterSize, strides, pad, dimRoundingMode} = attrs;
  if (shape.length !== 4 || !areSizes(filterSize) || !areSizes(strides)) return INVALID;
  if (!isPad(pad) && !arePads(pad)) return INVALID;
  if (![undefined, null, 'floor', 'round', 'ceil'].includes(dimRoundingMode)) return INVALID;
  const info = backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize as number,
    strides as number,
    1,
    pad as number,
    dimRoundingMode,
  );
  const {padInfo, ...sizes} = info;
  const {top, left} = padInfo;
  if (info.outShape.some((size) => !(size >= 0))) return INVALID;
  if (sizeOf(shape) === 0 || sizeOf(info.outShape) === 0) return EMPTY;
  const rows = info.outHeight * info.strideHeight + Math.abs(top) + info.filterHeight + info.inHeight;
  const columns = info.outWidth * info.strideWidth + Math.abs(left) + info.filterWidth + info.inWidth;
  if (!(rows < REACH && columns < REACH)) return 'windows reach too far';
  const {batchSize, inHeight, inWidth, outHeight, outWidth, inChannels} = sizes;
  const {filterHeight, filterWidth, strideHeight, strideWidth} = sizes;
  return {
    geometry: {
      batchSize,
      inHeight,
      inWidth,
      outHeight,
      outWidth,
      inChannels,
      filterHeight,
      filterWidth,
      strideHeight,
      strideWidth,
      padTop: top,
      padLeft: left,
    },
    outShape: info.outShape,
  };
}

function planPool(x: TensorSpec, attrs: PoolAttributes, averages: boolean): Planned | string {
  const {shape, dtype} = x;
  if (dtype !== 'float32') return `x has dtype ${dtype}`;
  const known = geometryOf(shape, attrs);
  if (typeof known === 'string') return known;
  const {geometry, outShape} = known;
  const {filterHeight, filterWidth, inHeight, inWidth, padTop, padLeft} = geometry;
  const outputs: TensorSpec[] = [{shape: outShape, dtype}];
  if (filterHeight === 1 && filterWidth === 1 && outShape.join() === shape.join()) {
    const move = copyAll(sizeOf(shape) * bytesOf(dtype));
    return {algorithm: 'copy', outputs, work: {record: 'move', move}};
  }
  const isWhole =
    outShape[1] === 1 &&
    outShape[2] === 1 &&
    padTop >= 0 &&
    padLeft >= 0 &&
    filterHeight - padTop >= inHeight &&
    filterWidth - padLeft >= inWidth;
  if (averages && isWhole) return 'tfjs averages a whole image as fast';
  const pooling = poolingOf(geometry, averages);
  return {
    algorithm: 'pool',
    outputs,
    work: {record: 'pool', pooling},
    load: poolingLoad(pooling),
    scratchBytes: pooling.scratchBytes,
  };
}

export const POOL_KERNELS: readonly AroundKernel[] = [
  /* @__PURE__ */ kernelOf(MaxPool, 'tf.maxPool', false),
  /* @__PURE__ */ kernelOf(AvgPool, 'tf.avgPool', true),
];
