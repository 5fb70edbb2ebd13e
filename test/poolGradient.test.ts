// The gradient of max pooling: that of tfjs's cpu backend.
import {
  type AroundCase,
  expectNear,
  expectOutcome,
  type Outcome,
  operand,
  operandsOf,
} from './aroundCases.ts';
import {sweepCases} from './sweepCases.ts';

interface Windows {
  readonly shape: readonly [number, number, number, number];
  readonly filterSize: number | readonly [number, number];
  readonly strides: number | readonly [number, number];
  readonly pad: 'valid' | 'same' | number | readonly (readonly [number, number])[];
  readonly out: readonly [number, number];
}

const WINDOWS: readonly Windows[] = [
  ...[1, 2, 3, 4, 5, 15, 16, 17, 31, 33].map(
    (channels): Windows => ({
      shape: [2, 6, 5, channels],
      filterSize: 2,
      strides: 2,
      pad: 'valid',
      out: [3, 2],
    }),
  ),
  {shape: [1, 7, 9, 5], filterSize: 3, strides: 2, pad: 'same', out: [4, 5]},
  {shape: [3, 7, 9, 18], filterSize: 3, strides: 1, pad: 'same', out: [7, 9]},
  {shape: [1, 5, 5, 4], filterSize: [1, 5], strides: [3, 1], pad: 'valid', out: [2, 1]},
  {shape: [1, 5, 6, 3], filterSize: 4, strides: 2, pad: 1, out: [2, 3]},
  {shape: [2, 4, 4, 7], filterSize: 2, strides: 5, pad: 'valid', out: [1, 1]},
  {
    shape: [1, 6, 6, 6],
    filterSize: 3,
    strides: 2,
    pad: [
      [0, 0],
      [2, 1],
      [1, 2],
      [0, 0],
    ],
    out: [4, 4],
  },
  // Several tasks.
  {shape: [2, 33, 33, 40], filterSize: 3, strides: 1, pad: 'same', out: [33, 33]},
];

const caseOf = ({shape, filterSize, strides, pad, out}: Windows, plain?: true): AroundCase => {
  const [batchSize, , , channels] = shape;
  const ofOutput = [batchSize, ...out, channels];
  return {
    kernelName: 'MaxPoolGrad',
    inputs: {
      dy: operand(ofOutput, 'float32', {seed: 7}),
      input: operand(shape, 'float32', {seed: 3}),
      output: operand(ofOutput, 'float32', {seed: 7}),
    },
    attrs: {filterSize, strides, pad},
    ...(plain && {plain}),
  };
};

/** Each value of dx is a sum of at most as many as the filter has places, of values up to 1: an ulp of it for each. */
function compare(one: AroundCase, got: readonly Outcome[], expected: readonly Outcome[]): void {
  const {filterSize, strides} = one.attrs as Windows;
  const size = ([] as readonly number[]).concat(filterSize, filterSize).slice(0, 2);
  const step = ([] as readonly number[]).concat(strides, strides).slice(0, 2);
  const overlap = size.every((side, i) => side <= step[i]) ? 0 : size[0] * size[1];
  if (overlap === 0) expectOutcome(one, got, expected);
  else expectNear(one, got, expected, () => overlap * overlap * 2 ** -24);
}

describe('values of both signs', () => {
  sweepCases({cases: {MaxPoolGrad: WINDOWS.map((windows) => caseOf(windows, true))}, reasons: [], compare});
});

describe('NaN, infinities and zeros, in windows that do not overlap', () => {
  sweepCases({
    cases: {MaxPoolGrad: WINDOWS.slice(0, 10).map((windows) => caseOf(windows))},
    reasons: [],
    compare: expectOutcome,
  });
});

it('has as many values as its windows', () => {
  for (const windows of WINDOWS) {
    const [dy] = operandsOf(caseOf(windows));
    expect(dy.shape).toEqual([windows.shape[0], ...windows.out, windows.shape[3]]);
  }
});
