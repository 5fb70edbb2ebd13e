// Batch normalization: what is valid.
import {FusedBatchNorm} from '@tensorflow/tfjs-core';
import {type AroundKernel, EMPTY, INVALID, inputOf, isSmall, refuseDtype} from './aroundKernel.ts';
import {BATCH_NORM_SCRATCH_BYTES, batchNormOf} from './batchNorm.ts';
import {sizeOf} from './box.ts';

interface BatchNormAttributes {
  readonly varianceEpsilon?: number | null;
}

const DEFAULT_EPSILON = 0.001;

/** Values that tfjs normalizes in the time that it takes to find a route. */
const FEW = 192;

const NAMES = ['x', 'mean', 'variance', 'offset', 'scale'];

const fusedBatchNorm: AroundKernel<BatchNormAttributes> = {
  name: FusedBatchNorm,
  op: 'tf.batchNorm',
  inputs: NAMES,
  optional: 2,
  // tfjs's kernel knows no other epsilon than one that is given.
  leaves: ({inputs, attrs}) =>
    typeof attrs?.varianceEpsilon === 'number' &&
    isSmall(inputOf(inputs, 'x')?.shape, FEW) &&
    NAMES.every((name) => inputOf(inputs, name)?.dtype !== 'bool'),
  sign: (signature, {attrs}) => signature.add(attrs?.varianceEpsilon),
  plan([x, ...parameters], {varianceEpsilon}) {
    const epsilon = varianceEpsilon ?? DEFAULT_EPSILON;
    const given = parameters.filter((one) => one !== undefined);
    const ofBytes = [x, ...parameters].findIndex((one) => one?.dtype === 'bool');
    if (ofBytes >= 0) refuseDtype(NAMES[ofBytes], 'bool');
    if (x === undefined || typeof epsilon !== 'number') return INVALID;
    const other = [x, ...given].find(({dtype}) => dtype !== 'float32');
    if (other !== undefined) return `a tensor has dtype ${other.dtype}`;
    const size = sizeOf(x.shape);
    if (size === 0) return EMPTY;
    const sizes = parameters.map((one) => (one === undefined ? 1 : sizeOf(one.shape)));
    if (sizes.includes(0) || given.some(({shape}) => shape.length !== given[0].shape.length)) return INVALID;
    return {
      algorithm: 'batchNorm',
      outputs: [{shape: x.shape, dtype: 'float32'}],
      work: {record: 'batchNorm', batchNorm: batchNormOf(size, sizes, epsilon)},
      scratchBytes: BATCH_NORM_SCRATCH_BYTES,
    };
  },
};

export const BATCH_NORM_KERNELS: readonly AroundKernel[] = [fusedBatchNorm];
