// Random calls of the kernels that move data.
import fc from 'fast-check';
import type {Flavour} from '../../src/index.ts';
import type {Dtype} from '../../src/tensorSpec.ts';
import {type AroundCase, expectOutcome, operand} from '../aroundCases.ts';
import type {FuzzRow} from './row.ts';
import {aroundRow} from './served.ts';

/** Of one axis: its size, and numbers from which a kernel takes what it wants. */
interface Axis {
  readonly size: number;
  readonly first: number;
  readonly second: number;
  readonly third: number;
}

interface Drawn {
  readonly axes: readonly Axis[];
  readonly dtype: Dtype;
  readonly pick: number;
  readonly value: number;
}

const small = fc.integer({min: 0, max: 9});
const axes = fc.array(
  fc.record({
    size: fc.oneof({weight: 5, arbitrary: fc.integer({min: 1, max: 6})}, fc.integer({min: 1, max: 40})),
    first: small,
    second: small,
    third: small,
  }),
  {minLength: 1, maxLength: 6},
);

/** Sizes such that no tensor has more than some thousand values. */
function shapeOf(drawn: readonly Axis[]): number[] {
  let left = 4000;
  return drawn.map(({size}) => {
    const own = Math.min(size, Math.max(1, left));
    left = Math.floor(left / own);
    return own;
  });
}

const KERNELS: readonly ((drawn: Drawn, shape: number[]) => AroundCase)[] = [
  ({dtype}, shape) => ({kernelName: 'Identity', inputs: {x: operand(shape, dtype)}}),
  ({dtype, value}, shape) => ({kernelName: 'Fill', inputs: {}, attrs: {shape, value, dtype}}),
  ({dtype, pick}, shape) => ({
    kernelName: 'Cast',
    inputs: {x: operand(shape, dtype)},
    attrs: {dtype: (['float32', 'int32', 'bool'] as const)[pick % 3]},
  }),
  ({axes, dtype, pick}, shape) => {
    const axis = pick % shape.length;
    const sizes = axes.map(({first}, i) => (i === 0 ? first + 1 : first));
    return {
      kernelName: 'Concat',
      inputs: sizes.map((size) =>
        operand(
          shape.map((all, i) => (i === axis ? size : all)),
          dtype,
        ),
      ),
      attrs: {axis: axis - (pick % 2) * shape.length},
    };
  },
  ({axes, dtype, pick}, shape) => ({
    kernelName: 'Pack',
    inputs: Array.from({length: 1 + axes[0].first}, () => operand(shape.slice(1), dtype)),
    attrs: {axis: pick % shape.length},
  }),
  ({dtype, pick}, shape) => ({
    kernelName: 'Unpack',
    inputs: {value: operand(shape, dtype)},
    attrs: {axis: pick % shape.length},
  }),
  ({axes, dtype, pick}, shape) => {
    const axis = pick % shape.length;
    const sizes = axes.map(({first}, i) => (i === 0 ? first + 1 : first));
    const total = sizes.reduce((a, b) => a + b, 0);
    return {
      kernelName: 'SplitV',
      inputs: {
        x: operand(
          shape.map((all, i) => (i === axis ? total : all)),
          dtype,
        ),
      },
      attrs: {axis, numOrSizeSplits: sizes},
    };
  },
  ({axes, dtype}, shape) => {
    const begin = shape.map((all, i) => axes[i].first % all);
    const size = shape.map((all, i) => (axes[i].second === 9 ? -1 : 1 + (axes[i].second % (all - begin[i]))));
    return {kernelName: 'Slice', inputs: {x: operand(shape, dtype)}, attrs: {begin, size}};
  },
  ({axes, dtype, pick}, shape) => ({
    kernelName: 'StridedSlice',
    inputs: {x: operand(shape, dtype)},
    attrs: {
      // tfjs's cpu backend fails where nothing is left.
      begin: axes.map(({first}, i) => first % shape[i]),
      end: axes.map(({first, second, third}, i) =>
        third > 7 ? -1 - shape[i] : (first % shape[i]) + 1 + second,
      ),
      strides: axes.map(({third}) => (third > 7 ? -1 - (third % 2) : 1 + (third % 3))),
      beginMask: pick & 5,
      endMask: (pick >> 2) & 7,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    },
  }),
  ({axes, dtype, value}, shape) => ({
    kernelName: 'PadV2',
    inputs: {x: operand(shape, dtype)},
    attrs: {
      // Most axes of a tensor of many have none.
      paddings: axes.map(({first, second}) => [Math.max(0, first - 6), Math.max(0, second - 6)]),
      constantValue: value,
    },
  }),
  ({axes, dtype}, shape) => ({
    kernelName: 'Tile',
    inputs: {x: operand(shape, dtype)},
    attrs: {reps: axes.map(({first}) => Math.max(1, first - 6))},
  }),
  ({axes, dtype}, shape) => ({
    kernelName: 'Transpose',
    inputs: {x: operand(shape, dtype)},
    attrs: {perm: [...shape.keys()].sort((a, b) => axes[a].first - axes[b].first || a - b)},
  }),
  ({axes, dtype, pick}, shape) => {
    const mode = pick % 2 === 0 ? 'reflect' : 'symmetric';
    const most = shape.map((size) => size - 1 + (pick % 2));
    return {
      kernelName: 'MirrorPad',
      inputs: {x: operand(shape, dtype)},
      attrs: {
        mode,
        paddings: axes.map(({first, second}, i) => [
          Math.min(most[i], Math.max(0, first - 5)),
          Math.min(most[i], Math.max(0, second - 5)),
        ]),
      },
    };
  },
  ({axes, dtype, pick}, shape) => {
    const own = shape.length === 1 ? [1, ...shape] : shape;
    const blocks = axes.slice(0, 1 + (pick % (own.length - 1)));
    return {
      kernelName: 'SpaceToBatchND',
      inputs: {x: operand(own, dtype)},
      attrs: {
        blockShape: blocks.map(({first}) => 1 + (first % 4)),
        paddings: blocks.map(({first, second}, i) => {
          const block = 1 + (first % 4);
          // Most axes of a tensor of many have none.
          const before = Math.max(0, second - 5);
          return [before, (block - ((own[i + 1] + before) % block)) % block];
        }),
      },
    };
  },
  ({axes, dtype, pick}, shape) => {
    const own = shape.length === 1 ? [1, ...shape] : shape;
    const blocks = axes.slice(0, 1 + (pick % (own.length - 1))).map(({first}) => 1 + (first % 3));
    const batches = blocks.reduce((a, b) => a * b, 1);
    return {
      kernelName: 'BatchToSpaceND',
      inputs: {x: operand([batches * Math.min(own[0], 2), ...own.slice(1)], dtype)},
      attrs: {
        blockShape: blocks,
        crops: blocks.map((block, i) => {
          const all = block * own[i + 1];
          const before = axes[i].second % all;
          return [before, axes[i].third % (all - before)];
        }),
      },
    };
  },
  ({dtype, pick}, shape) => {
    const blockSize = 1 + (pick % 4);
    const own = [...shape, 1, 1, 1].slice(0, 3);
    return {
      kernelName: 'DepthToSpace',
      // Of booleans tfjs's cpu backend makes floats.
      inputs: {
        x: operand([...own, blockSize ** 2 * (1 + (pick % 5))], dtype === 'bool' ? 'float32' : dtype),
      },
      attrs: {blockSize, dataFormat: 'NHWC'},
    };
  },
];

const cases = fc
  .record({
    axes,
    dtype: fc.constantFrom<Dtype>('float32', 'int32', 'bool'),
    pick: fc.nat({max: 100}),
    value: fc.oneof(fc.constantFrom(0, 1), fc.float({noNaN: true, min: -1000, max: 1000})),
    kernel: fc.nat({max: KERNELS.length - 1}),
  })
  .map(({kernel, ...drawn}) => KERNELS[kernel](drawn, shapeOf(drawn.axes)));

export function movesRow(simd: Flavour): FuzzRow<AroundCase> {
  return aroundRow('moves', simd, cases, expectOutcome);
}
