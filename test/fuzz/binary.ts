// Random calls of the kernels that compute values one by one.
import fc from 'fast-check';
import type {Flavour} from '../../src/index.ts';
import {type AroundCase, expectNear, type Operand, operand} from '../aroundCases.ts';
import {toleranceOf} from '../elementwiseError.ts';
import type {FuzzRow} from './row.ts';
import {aroundRow} from './served.ts';

/** Of one axis: its size, and which of the operands have one value along it. */
interface Axis {
  readonly size: number;
  readonly one: 'neither' | 'a' | 'b';
}

const axes = fc.array(
  fc.record<Axis>({
    size: fc.oneof({weight: 3, arbitrary: fc.integer({min: 1, max: 6})}, fc.integer({min: 1, max: 600})),
    one: fc.constantFrom('neither', 'neither', 'a', 'b'),
  }),
  {maxLength: 6},
);

/** Sizes such that no tensor has more than some thousand values. */
function sizesOf(drawn: readonly Axis[]): number[] {
  let left = 20_000;
  return drawn.map(({size}) => {
    const own = Math.min(size, Math.max(1, left));
    left = Math.floor(left / own);
    return own;
  });
}

interface Drawn {
  readonly axes: readonly Axis[];
  /** Axes of one value that an operand leaves out at its front, if it has as many. */
  readonly dropped: number;
  readonly seed: number;
  readonly count: number;
}

type Maker = (drawn: Drawn, shape: number[], a: Operand, b: Operand) => AroundCase;

const BINARY = [
  'Add',
  'Sub',
  'Multiply',
  'RealDiv',
  'Maximum',
  'Minimum',
  'SquaredDifference',
  'Equal',
  'NotEqual',
  'Less',
  'LessEqual',
  'Greater',
  'GreaterEqual',
];

const MAKERS: readonly Maker[] = [
  ...BINARY.map(
    (kernelName): Maker =>
      (_, __, a, b) => ({kernelName, inputs: {a, b}}),
  ),
  (_, __, a, b) => ({kernelName: 'Prelu', inputs: {x: a, alpha: b}}),
  ({count}, shape) => ({kernelName: 'AddN', inputs: Array.from({length: count}, () => operand(shape))}),
  ({count, seed}, shape) => {
    const dtype = (['float32', 'int32', 'bool'] as const)[count % 3];
    return {
      kernelName: 'Select',
      inputs: {condition: operand(shape, 'bool'), t: operand(shape, dtype), e: operand(shape, dtype, {seed})},
    };
  },
  ({count, seed}, shape) => {
    const size = shape.at(-1) ?? 1;
    const parameter = (bit: number) =>
      operand([(count >> bit) % 2 === 0 ? size : 1], 'float32', {seed: seed + bit});
    return {
      kernelName: 'FusedBatchNorm',
      inputs: {
        x: operand(shape),
        mean: parameter(0),
        variance: {...parameter(1), nonNegative: true},
        offset: parameter(2),
        scale: parameter(3),
      },
      attrs: {varianceEpsilon: 0.01},
    };
  },
];

const cases = fc
  .record({
    axes,
    dropped: fc.nat({max: 6}),
    seed: fc.nat({max: 20}),
    count: fc.integer({min: 1, max: 15}),
    kernel: fc.nat({max: MAKERS.length - 1}),
  })
  .map(({kernel, ...drawn}) => {
    const shape = sizesOf(drawn.axes);
    const without = (name: Axis['one']) => {
      const own = shape.map((size, i) => (drawn.axes[i].one === name ? 1 : size));
      const first = own.findIndex((size) => size !== 1);
      return own.slice(Math.min(drawn.dropped, first < 0 ? own.length : first));
    };
    const [a, b] = [operand(without('a')), operand(without('b'), 'float32', {seed: drawn.seed})];
    return MAKERS[kernel](drawn, shape, a, b);
  });

export function binaryRow(simd: Flavour): FuzzRow<AroundCase> {
  return aroundRow('binary', simd, cases, (one, got, expected) =>
    expectNear(one, got, expected, toleranceOf(one)),
  );
}
