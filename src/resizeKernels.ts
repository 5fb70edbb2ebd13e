// The kernels that resize images: what each of their calls is known by, what is valid, and what it comes to.
import {ResizeBilinear, ResizeNearestNeighbor} from '@tensorflow/tfjs-core';
import {type AroundKernel, EMPTY, INVALID, inputOf, isCount} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {checkBytes} from './limits.ts';
import type {TensorSpec} from './tensorSpec.ts';

/** Unchecked. */
export interface ResizeAttributes {
  readonly size?: readonly number[];
  readonly alignCorners?: boolean;
  readonly halfPixelCenters?: boolean;
}

/** Output values that tfjs has written before a route is found. */
const FEW = 256;

/** Of so many channels tfjs interpolates rows that are further apart than the image's as fast. */
const MANY_CHANNELS = 64;

/** A record has a sample of 12 bytes for each output row and column. */
const MOST_SAMPLES = 2 ** 16;

/* @__NO_SIDE_EFFECTS__ */
function kernelOf(name: string, op: string, interpolates: boolean): AroundKernel<ResizeAttributes> {
  return {
    name,
    op,
    inputs: ['images'],
    sign(signature, {attrs}) {
      signature.list(attrs?.size);
      signature.add(attrs?.alignCorners);
      signature.add(attrs?.halfPixelCenters);
    },
    leaves({inputs, attrs}) {
      const [batch, , , channels] = inputOf(inputs, 'images')?.shape ?? [];
      const size = attrs?.size;
      if (!Array.isArray(size)) return false;
      const [height, width] = size;
      return batch * height * width * channels <= FEW;
    },
    plan([images], {size, alignCorners, halfPixelCenters}) {
      const {shape, dtype} = images as TensorSpec;
      if (dtype !== 'float32') return `images have dtype ${dtype}`;
      if (shape.length !== 4 || !Array.isArray(size) || size.length !== 2 || !size.every(isCount)) {
        return INVALID;
      }
      const [outHeight, outWidth] = size;
      if (interpolates && shape[3] >= MANY_CHANNELS && outHeight <= shape[1]) {
        return 'tfjs makes an image of many channels smaller as fast';
      }
      const outShape = [shape[0], outHeight, outWidth, shape[3]];
      if (sizeOf(shape) === 0 || sizeOf(outShape) === 0) return EMPTY;
      const outputs: TensorSpec[] = [{shape: outShape, dtype}];
      // Also where it is tfjs's.
      checkBytes({'an output': outShape});
      if (outHeight + outWidth > MOST_SAMPLES) return `more than ${MOST_SAMPLES} rows and columns`;
      const alignment = {alignCorners: Boolean(alignCorners), halfPixelCenters: Boolean(halfPixelCenters)};
      const resizing = {interpolates, shape, outHeight, outWidth, alignment};
      return {algorithm: 'resize', outputs, work: {record: 'resize', resizing}};
    },
  };
}

export const RESIZE_KERNELS: readonly AroundKernel[] = [
  /* @__PURE__ */ kernelOf(ResizeBilinear, 'tf.image.resizeBilinear', true),
  /* @__PURE__ */ kernelOf(ResizeNearestNeighbor, 'tf.image.resizeNearestNeighbor', false),
];
