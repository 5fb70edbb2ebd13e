// Calls of the kernels that move data in blocks, or mirror it.
import type {Dtype} from '../src/tensorSpec.ts';
import {type AroundCase, operand} from './aroundCases.ts';

// Of values of four bytes and of one: that is all that a copy knows of a dtype, and tfjs's cpu backend takes long for each.
const DTYPES: readonly Dtype[] = ['float32', 'bool'];

/** Shapes with an axis for each block behind the batch's, of images that blocks do not divide. */
const BLOCKED: readonly {readonly shape: readonly number[]; readonly blockShape: readonly number[]}[] = [
  {shape: [3, 7], blockShape: [1]},
  {shape: [2, 7], blockShape: [3]},
  {shape: [2, 9, 5], blockShape: [4]},
  {shape: [1, 5, 6], blockShape: [2, 2]},
  {shape: [2, 7, 5, 3], blockShape: [2, 2]},
  {shape: [3, 4, 9, 1], blockShape: [2, 1]},
  {shape: [1, 4, 9, 5], blockShape: [1, 4]},
  {shape: [2, 11, 13, 17], blockShape: [3, 5]},
  {shape: [1, 9, 9, 140], blockShape: [2, 3]},
  {shape: [1, 3, 2, 1], blockShape: [6, 7]},
  {shape: [2, 3, 4, 5, 3], blockShape: [2, 3, 2]},
  {shape: [2, 3, 2, 5, 3, 4], blockShape: [2, 3]},
  {shape: [2, 3, 2, 4, 3, 2], blockShape: [2, 1, 3, 2, 2]},
  // More pieces than a record is to hold.
  {shape: [1, 2050, 2], blockShape: [1025]},
];

const each = <T, R>(list: readonly T[], make: (one: T) => R[]) => list.flatMap(make);
const call = (kernelName: string, shape: readonly number[], dtype: Dtype, attrs: object): AroundCase => ({
  kernelName,
  inputs: {x: operand(shape, dtype)},
  attrs,
});

/** Paddings in front from none to more than a block, and behind what makes whole blocks. */
function paddingsOf(shape: readonly number[], blockShape: readonly number[]): number[][][] {
  return [0, 1, 5].map((before) =>
    blockShape.map((block, i) => {
      const own = Math.min(before, 2 * block + 1);
      return [own, (block - ((shape[i + 1] + own) % block)) % block];
    }),
  );
}

/** By kernel. */
export const BLOCK_CASES: Record<string, readonly AroundCase[]> = {
  SpaceToBatchND: each(DTYPES, (dtype) =>
    each(BLOCKED, ({shape, blockShape}) =>
      paddingsOf(shape, blockShape).map((paddings) =>
        call('SpaceToBatchND', shape, dtype, {blockShape, paddings}),
      ),
    ),
  ),
  BatchToSpaceND: each(DTYPES, (dtype) =>
    each(BLOCKED, ({shape, blockShape}) => {
      const batches = blockShape.reduce((a, b) => a * b, 1);
      // Not many images of many batches.
      const own = shape.map((size, i) =>
        i === 0 ? size * batches : i <= blockShape.length ? Math.ceil(size / blockShape[i - 1]) : size,
      );
      const crops = [
        blockShape.map(() => [0, 0]),
        blockShape.map((block) => [Math.min(1, block - 1), 0]),
        blockShape.map((block, i) => [0, Math.min(2, own[i + 1] * block - 1)]),
        blockShape.map((block, i) => [
          Math.floor((own[i + 1] * block) / 3),
          Math.floor((own[i + 1] * block) / 3),
        ]),
      ];
      return crops.map((one) => call('BatchToSpaceND', own, dtype, {blockShape, crops: one}));
    }),
  ),
  // Of booleans tfjs's cpu backend makes floats.
  DepthToSpace: each(['float32', 'int32'] as const, (dtype) =>
    each([1, 2, 3, 5], (blockSize) =>
      each([1, 3, 4, 33], (depth) =>
        [
          [1, 1, 1],
          [2, 3, 5],
          [1, 7, 18],
        ].map((images) =>
          call('DepthToSpace', [...images, depth * blockSize ** 2], dtype, {blockSize, dataFormat: 'NHWC'}),
        ),
      ),
    ),
  ),
  MirrorPad: each(DTYPES, (dtype) =>
    each(
      [[1], [7], [40], [5, 9], [3, 4, 5], [2, 5, 7, 3], [1, 9, 8, 33], [2, 3, 2, 3, 2], [2, 2, 3, 2, 2, 3]],
      (shape) =>
        each(['reflect', 'symmetric'], (mode) => {
          const most = shape.map((size) => (mode === 'reflect' ? size - 1 : size));
          const paddings = [
            most.map(() => [0, 0]),
            most.map((all) => [all, all]),
            most.map((all) => [Math.min(1, all), 0]),
            most.map((all) => [0, Math.min(2, all)]),
            most.map((all, i) => (i === 1 || i === 2 ? [Math.min(1, all), Math.min(3, all)] : [0, 0])),
            most.map((all, i) => (i % 2 === 0 ? [Math.min(2, all), all] : [0, 0])),
          ];
          return paddings.map((one) => call('MirrorPad', shape, dtype, {paddings: one, mode}));
        }),
    ),
  ),
};
