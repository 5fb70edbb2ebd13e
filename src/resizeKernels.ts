// The kernels that resize images: what each of their calls is known by, what is valid, and what it comes to.
import {ResizeBilinear, ResizeNearestNeighbor} from '@tensorflow/tfjs-core';
import {type AroundKernel, EMPTY, INVALID, inputOf, isCount, refuse} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {checkBytes} from './limits.ts';
import {type Resizing, type Sample, samplesOf} from './resizing.ts';
import type {TensorSpec} from './tensorSpec.ts';

/** Unchecked. */
export interface ResizeAttributes {
  readonly size?: readonly number[];
  readonly alignCorners?: boolean;
  readonly halfPixelCenters?: boolean;
}

/** Output values that tfjs has computed before a route is found. */
const FEW_NEAREST = 256;
const FEW_BETWEEN = 2048;

/** Of so many channels tfjs interpolates as fast, where no two output rows share one of the image. */
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
      // Beyond its output tfjs's kernel would write, of a negative size.
      if (!Array.isArray(size) || !size.every(isCount)) return false;
      const [height, width] = size;
      return batch * height * width * channels <= (interpolates ? FEW_BETWEEN : FEW_NEAREST);
    },
    plan([images], {size, alignCorners, halfPixelCenters}) {
      const {shape, dtype} = images as TensorSpec;
      if (!Array.isArray(size) || !size.every(isCount)) return refuse('size', size, shape);
      if (dtype !== 'float32') return `images have dtype ${dtype}`;
      // Between pixels that are both, places lie beyond the image.
      const isBeyond = interpolates && alignCorners && halfPixelCenters;
      if (shape.length !== 4 || size.length !== 2 || isBeyond) return INVALID;
      const [outHeight, outWidth] = size;
      const outShape = [shape[0], outHeight, outWidth, shape[3]];
      if (sizeOf(shape) === 0 || sizeOf(outShape) === 0) return EMPTY;
      const outputs: TensorSpec[] = [{shape: outShape, dtype}];
      // Also where it is tfjs's.
      checkBytes({'an output': outShape});
      if (outHeight + outWidth > MOST_SAMPLES) return `more than ${MOST_SAMPLES} rows and columns`;
      const alignment = {alignCorners: Boolean(alignCorners), halfPixelCenters: Boolean(halfPixelCenters)};
      const resizing: Resizing = {interpolates, shape, outHeight, outWidth, alignment};
      if (interpolates && shape[3] >= MANY_CHANNELS && areApart(samplesOf(resizing, 'rows'))) {
        return 'tfjs makes an image of many channels smaller as fast';
      }
      return {algorithm: 'resize', outputs, work: {record: 'resize', resizing}};
    },
  };
}

/** Whether each row lies between two others that no row before it has read. */
function areApart(rows: readonly Sample[]): boolean {
  return rows.every(({low, high}, i) => low < high && (i === 0 || low > rows[i - 1].high));
}

export const RESIZE_KERNELS: readonly AroundKernel[] = [
  /* @__PURE__ */ kernelOf(ResizeBilinear, 'tf.image.resizeBilinear', true),
  /* @__PURE__ */ kernelOf(ResizeNearestNeighbor, 'tf.image.resizeNearestNeighbor', false),
];
