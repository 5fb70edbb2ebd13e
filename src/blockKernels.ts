// The kernels that move data in blocks, or mirror it: what is valid, and where each axis comes to lie.
import {BatchToSpaceND, DepthToSpace, MirrorPad, SpaceToBatchND} from '@tensorflow/tfjs-core';
import {
  type AroundKernel,
  EMPTY,
  INVALID,
  isCount,
  isList,
  isPairs,
  type Planned,
  refuse,
  signPairs,
} from './aroundKernel.ts';
import {sizeOf, stridesOf} from './box.ts';
import {transposed} from './move.ts';
import {mirrored, type PiecedDimension, pieced, putTogether, takenApart, whole} from './pieces.ts';
import {bytesOf, type TensorSpec} from './tensorSpec.ts';

/** The attributes of all these kernels: of each a few, unchecked. */
export interface BlockAttributes {
  readonly paddings?: readonly (readonly number[])[];
  readonly mode?: string;
  readonly blockShape?: readonly number[];
  readonly crops?: readonly (readonly number[])[];
  readonly blockSize?: number;
  readonly dataFormat?: string;
}

type BlockKernel = AroundKernel<BlockAttributes>;

function planOf(
  algorithm: string,
  dimensions: readonly PiecedDimension[],
  output: TensorSpec,
): Planned | string {
  const pieces = pieced(dimensions, bytesOf(output.dtype));
  return typeof pieces === 'string'
    ? pieces
    : {algorithm, outputs: [output], work: {record: 'pieces', pieces}};
}

const mirrorPad: BlockKernel = {
  name: MirrorPad,
  op: 'tf.mirrorPad',
  inputs: ['x'],
  sign(signature, {attrs}) {
    signPairs(signature, attrs?.paddings);
    signature.add(attrs?.mode);
  },
  plan([x], {paddings, mode}) {
    const {shape, dtype} = x as TensorSpec;
    if ((mode !== 'reflect' && mode !== 'symmetric') || !isPairs(paddings, shape.length)) return INVALID;
    const offset = mode === 'reflect' ? 1 : 0;
    // There is no more in the mirror than in front of it.
    if (!shape.every((size, i) => paddings[i].every((one) => one <= size - offset))) return INVALID;
    const outShape = shape.map((size, i) => paddings[i][0] + size + paddings[i][1]);
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(outShape, bytesOf(dtype));
    const dimensions = shape.map((size, i) =>
      mirrored(size, paddings[i], offset, {from: from[i], to: to[i]}),
    );
    return sizeOf(shape) === 0 ? EMPTY : planOf('pad', dimensions, {shape: outShape, dtype});
  },
};

/** Indices of all blocks together: a record has a piece or more for each. */
const MOST_INDICES = 2 ** 12;
const isLarge = (blocks: readonly number[]) => blocks.reduce((sum, one) => sum + one, 0) > MOST_INDICES;
const LARGE = `blocks of more than ${MOST_INDICES} indices`;

/** Whether a shape has axes for these blocks behind the batch's, and each block has an index. */
const isBlockShape = (blocks: unknown, rank: number): blocks is readonly number[] =>
  isList(blocks) &&
  blocks.length > 0 &&
  blocks.length < rank &&
  blocks.every((one) => isCount(one) && one > 0);

/** Bytes from a batch of each axis to the next, where so many images follow each other. */
const batchStrides = (blocks: readonly number[], images: number, imageBytes: number) =>
  stridesOf(blocks, images * imageBytes);

const spaceToBatchND: BlockKernel = {
  name: SpaceToBatchND,
  op: 'tf.spaceToBatchND',
  inputs: ['x'],
  sign(signature, {attrs}) {
    signature.list(attrs?.blockShape);
    signPairs(signature, attrs?.paddings);
  },
  plan([x], {blockShape, paddings}) {
    const {shape, dtype} = x as TensorSpec;
    if (!isBlockShape(blockShape, shape.length)) return refuse('blockShape', blockShape, shape);
    if (!isPairs(paddings, blockShape.length)) return refuse('paddings', paddings, shape);
    if (isLarge(blockShape)) return LARGE;
    const [images] = shape;
    const outShape = shape.map((size, i) => {
      if (i === 0) return images * sizeOf(blockShape);
      if (i > blockShape.length) return size;
      return (paddings[i - 1][0] + size + paddings[i - 1][1]) / blockShape[i - 1];
    });
    if (!outShape.every(isCount)) return INVALID;
    if (sizeOf(shape) === 0) return EMPTY;
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(outShape, bytesOf(dtype));
    const batches = batchStrides(blockShape, images, to[0]);
    const dimensions = shape.map((size, i) => {
      if (i === 0 || i > blockShape.length) return whole(size, {from: from[i], to: to[i]});
      return takenApart({
        size,
        before: paddings[i - 1][0],
        block: blockShape[i - 1],
        batchSize: outShape[i],
        stride: from[i],
        innerStride: to[i],
        batchStride: batches[i - 1],
      });
    });
    return planOf('block', dimensions, {shape: outShape, dtype});
  },
};

const batchToSpaceND: BlockKernel = {
  name: BatchToSpaceND,
  op: 'tf.batchToSpaceND',
  inputs: ['x'],
  sign(signature, {attrs}) {
    signature.list(attrs?.blockShape);
    signPairs(signature, attrs?.crops);
  },
  plan([x], {blockShape, crops}) {
    const {shape, dtype} = x as TensorSpec;
    if (!isBlockShape(blockShape, shape.length) || !isPairs(crops, blockShape.length)) return INVALID;
    if (isLarge(blockShape)) return LARGE;
    const outShape = shape.map((size, i) => {
      if (i === 0) return size / sizeOf(blockShape);
      if (i > blockShape.length) return size;
      return size * blockShape[i - 1] - crops[i - 1][0] - crops[i - 1][1];
    });
    if (!outShape.every(isCount)) return INVALID;
    if (sizeOf(outShape) === 0) return EMPTY;
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(outShape, bytesOf(dtype));
    const batches = batchStrides(blockShape, outShape[0], from[0]);
    const dimensions = outShape.map((size, i) => {
      if (i === 0 || i > blockShape.length) return whole(size, {from: from[i], to: to[i]});
      return putTogether({
        size,
        before: crops[i - 1][0],
        block: blockShape[i - 1],
        batchSize: shape[i],
        stride: to[i],
        innerStride: from[i],
        batchStride: batches[i - 1],
      });
    });
    return planOf('block', dimensions, {shape: outShape, dtype});
  },
};

const depthToSpace: BlockKernel = {
  name: DepthToSpace,
  op: 'tf.depthToSpace',
  inputs: ['x'],
  sign(signature, {attrs}) {
    signature.add(attrs?.blockSize);
    signature.add(attrs?.dataFormat);
  },
  plan([x], {blockSize: block, dataFormat}) {
    const {shape, dtype} = x as TensorSpec;
    if (shape.length !== 4 || !isCount(block) || block === 0) return INVALID;
    if (dataFormat !== 'NHWC' && dataFormat !== 'NCHW') return INVALID;
    const isNHWC = dataFormat === 'NHWC';
    const [images, height, width, inDepth] = isNHWC ? shape : [shape[0], shape[2], shape[3], shape[1]];
    const depth = inDepth / (block * block);
    if (!isCount(depth)) return INVALID;
    if (sizeOf(shape) === 0) return EMPTY;
    const move = isNHWC
      ? transposed([images, height, width, block, block, depth], [0, 1, 3, 2, 4, 5], bytesOf(dtype))
      : transposed([images, block, block, depth, height, width], [0, 3, 4, 1, 5, 2], bytesOf(dtype));
    if (typeof move === 'string') return move;
    const [rows, columns] = [height * block, width * block];
    const outShape = isNHWC ? [images, rows, columns, depth] : [images, depth, rows, columns];
    return {algorithm: 'block', outputs: [{shape: outShape, dtype}], work: {record: 'move', move}};
  },
};

export const BLOCK_KERNELS: readonly AroundKernel[] = [
  mirrorPad,
  spaceToBatchND,
  batchToSpaceND,
  depthToSpace,
];
