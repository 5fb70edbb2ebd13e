// Calls of the kernels that move data.
import type {Dtype} from '../src/tensorSpec.ts';
import {type AroundCase, operand} from './aroundCases.ts';

const DTYPES: readonly Dtype[] = ['float32', 'int32', 'bool'];
const SHAPES = [[], [1], [7], [19], [5, 9], [3, 4, 5], [2, 3, 1, 17], [2, 1, 3, 2, 5], [2, 3, 2, 1, 2, 3]];

const x = (shape: readonly number[], dtype?: Dtype) => ({x: operand(shape, dtype)});
const each = <T, R>(list: readonly T[], make: (one: T, i: number) => R[]) => list.flatMap(make);
const withSize = (shape: readonly number[], axis: number, size: number) =>
  shape.map((all, i) => (i === axis ? size : all));
const axesOf = (shape: readonly number[]) => [...shape.keys(), ...shape.map((_, i) => -i - 1)];

/** All orders of so many axes. */
function orders(axes: readonly number[]): number[][] {
  if (axes.length === 0) return [[]];
  return axes.flatMap((axis) =>
    orders(axes.filter((other) => other !== axis)).map((rest) => [axis, ...rest]),
  );
}

const call = (kernelName: string, inputs: AroundCase['inputs'], attrs?: object): AroundCase => ({
  kernelName,
  inputs,
  attrs,
});

/** By kernel: every rank, axis and dtype, and rows of every length modulo a vector's. */
export const MOVE_CASES: Record<string, readonly AroundCase[]> = {
  Identity: each(DTYPES, (dtype) => each(SHAPES, (shape) => [call('Identity', x(shape, dtype))])),
  ZerosLike: each(DTYPES, (dtype) => each(SHAPES, (shape) => [call('ZerosLike', x(shape, dtype))])),
  OnesLike: each(DTYPES, (dtype) => each(SHAPES, (shape) => [call('OnesLike', x(shape, dtype))])),
  Fill: each([...DTYPES, undefined], (dtype) =>
    each(SHAPES, (shape) =>
      each([0, 1, -2.5, 3e9, 300, Number.NaN], (value) => [call('Fill', {}, {shape, value, dtype})]),
    ),
  ),
  Cast: each(DTYPES, (from) =>
    each(DTYPES, (dtype) =>
      each([...SHAPES, [3, 67], [1031]], (shape) => [call('Cast', x(shape, from), {dtype})]),
    ),
  ),
  Concat: each(DTYPES, (dtype) =>
    each(SHAPES, (shape) =>
      each(axesOf(shape), (axis) => {
        const own = axis < 0 ? axis + shape.length : axis;
        const sized = (size: number) => operand(withSize(shape, own, size), dtype);
        return each(
          [
            [3, 1],
            [2, 0, 5],
            [0, 4, 0],
            [1, 1, 1, 1, 1],
            [40, 33],
          ],
          (sizes) => [call('Concat', sizes.map(sized), {axis})],
        );
      }),
    ),
  ),
  Pack: each(DTYPES, (dtype) =>
    each(SHAPES.slice(0, -1), (shape) =>
      each(axesOf([...shape, 1]), (axis) =>
        each([1, 2, 5], (count) => [
          call(
            'Pack',
            Array.from({length: count}, () => operand(shape, dtype)),
            {axis},
          ),
        ]),
      ),
    ),
  ),
  Unpack: each(DTYPES, (dtype) =>
    each(SHAPES, (shape) =>
      each(axesOf(shape), (axis) => [call('Unpack', {value: operand(shape, dtype)}, {axis})]),
    ),
  ),
  SplitV: each(DTYPES, (dtype) =>
    each(SHAPES, (shape) =>
      each(axesOf(shape), (axis) => {
        const own = axis < 0 ? axis + shape.length : axis;
        return each([2, [1, -1], [1, -1, 3], [2, 0, 4], 6] as (number | number[])[], (numOrSizeSplits) => [
          call('SplitV', x(withSize(shape, own, 6), dtype), {numOrSizeSplits, axis}),
        ]);
      }),
    ),
  ),
  Slice: each(DTYPES, (dtype) =>
    each([[40, 33], [7, 9, 20], ...SHAPES.slice(1)], (shape) => {
      const attributes = [
        {begin: 0, size: -1},
        {begin: 0, size: 1},
        {begin: shape.map(() => 0), size: shape.map(() => -1)},
        {begin: shape.map((all) => all - 1), size: shape.map(() => 1)},
        {begin: shape.map((all) => Math.floor(all / 3)), size: shape.map(() => -1)},
        {begin: shape.map((all) => Math.floor(all / 3)), size: shape.map((all) => Math.ceil(all / 3))},
        {begin: shape.map(() => 0), size: shape.map((all, i) => (i % 2 === 0 ? all : Math.ceil(all / 2)))},
        {begin: [shape[0] - 1], size: [1]},
        {begin: shape.map(() => 0), size: shape.map((all, i) => (i === 0 ? 0 : all))},
      ];
      return attributes.map((attrs) => call('Slice', x(shape, dtype), attrs));
    }),
  ),
  StridedSlice: each(DTYPES, (dtype) =>
    each([[19], [9, 13], [7, 9, 20], [2, 5, 4, 3], [2, 1, 3, 2, 5], [2, 3, 2, 4, 2, 3]], (shape) => {
      const masks = {beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0};
      const all = {begin: shape.map(() => 0), end: [...shape], strides: shape.map(() => 1)};
      const attributes = [
        all,
        {...all, strides: shape.map(() => 2)},
        {...all, strides: shape.map((_, i) => 1 + (i % 3))},
        {
          ...all,
          begin: shape.map((size) => size - 1),
          end: shape.map(() => -100),
          strides: shape.map(() => -1),
        },
        {...all, begin: shape.map((size) => (size > 1 ? 1 : 0)), beginMask: 1},
        {
          ...all,
          begin: shape.map(() => -1),
          end: shape.map(() => 0),
          shrinkAxisMask: 1,
          endMask: -2,
          beginMask: -2,
        },
        {begin: [0], end: [1], strides: [1], shrinkAxisMask: 1},
        {begin: [0, 0], end: [0, 1], strides: [1, 1], ellipsisMask: 1},
        {begin: [0, 0], end: [0, 0], strides: [1, 2], ellipsisMask: 1, endMask: 2},
        {begin: [0, 1], end: [0, 0], strides: [1, 1], newAxisMask: 1, endMask: 2},
        {begin: [1], end: [1], strides: [1]},
      ];
      return attributes.map((attrs) => call('StridedSlice', x(shape, dtype), {...masks, ...attrs}));
    }),
  ),
  PadV2: each(DTYPES, (dtype) =>
    each([...SHAPES, [5, 6, 3], [2, 9, 40, 4]], (shape) =>
      each([0, -0, 1, 2.5, -3], (constantValue) => {
        const paddings = [
          shape.map(() => [0, 0]),
          shape.map(() => [1, 2]),
          shape.map((_, i) => (i === 0 ? [2, 0] : [0, 0])),
          shape.map((_, i) => (i === shape.length - 1 ? [0, 3] : [0, 0])),
          shape.map((_, i) => (i % 2 === 1 ? [1, 1] : [0, 0])),
          shape.map((_, i) => (i === 1 || i === 2 ? [3, 40] : [0, 0])),
        ];
        return paddings.map((one) => call('PadV2', x(shape, dtype), {paddings: one, constantValue}));
      }),
    ),
  ),
  Tile: each(DTYPES, (dtype) =>
    each(SHAPES, (shape) => {
      const reps = [
        shape.map(() => 1),
        shape.map(() => 2),
        shape.map((_, i) => (i === shape.length - 1 ? 5 : 1)),
        shape.map((_, i) => (i === 0 ? 3 : 1)),
        shape.map((_, i) => 1 + (i % 2)),
      ];
      return reps.map((one) => call('Tile', x(shape, dtype), {reps: one}));
    }),
  ),
  // tfjs's cpu backend takes long: values of four bytes once.
  Transpose: each(['float32', 'bool'] as const, (dtype) => [
    ...each(SHAPES.slice(1, -1), (shape) =>
      orders([...shape.keys()]).map((perm) => call('Transpose', x(shape, dtype), {perm})),
    ),
    ...each(
      [
        [33, 300],
        [2, 21, 18, 3],
        [2, 3, 18, 21],
        [3, 260, 35],
      ],
      (shape) => orders([...shape.keys()]).map((perm) => call('Transpose', x(shape, dtype), {perm})),
    ),
    call('Transpose', x([2, 3, 4, 2, 3, 5], dtype), {perm: [5, 1, 4, 0, 3, 2]}),
    call('Transpose', x([2, 3, 4, 2, 3, 5], dtype), {perm: [4, 1, 2, 0, 3, 5]}),
  ]),
};
