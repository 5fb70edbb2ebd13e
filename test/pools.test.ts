// Pooling: the values of tfjs's cpu backend.
import {type AroundCase, expectNear, expectOutcome, operand} from './aroundCases.ts';
import {sweepCases} from './sweepCases.ts';

type Attributes = Readonly<{filterSize: unknown; strides: unknown; pad: unknown; dimRoundingMode?: string}>;

const call = (
  kernelName: string,
  shape: readonly number[],
  attrs: Attributes,
  options: Pick<AroundCase, 'plain'>,
): AroundCase => ({kernelName, inputs: {x: operand(shape)}, attrs, ...options});

/** Those of real networks; every side of the padding; windows that see nothing; sizes that are rounded. */
const ATTRIBUTES: readonly Attributes[] = [
  ...['same', 'valid', 1, 2].flatMap((pad) => [
    {filterSize: 3, strides: 2, pad},
    {filterSize: [2, 2], strides: [2, 2], pad},
    {filterSize: 3, strides: 1, pad},
    {filterSize: [5, 5], strides: 1, pad},
    {filterSize: [1, 3], strides: [1, 2], pad},
    {filterSize: [4, 1], strides: [3, 1], pad},
    {filterSize: [4, 2], strides: [1, 3], pad},
    {filterSize: 1, strides: 2, pad},
    {filterSize: 1, strides: 1, pad},
  ]),
  {filterSize: [11, 9], strides: 1, pad: 'same'},
  {filterSize: [40, 40], strides: 1, pad: 'same'},
  {filterSize: 2, strides: 1, pad: 3},
  {filterSize: [2, 1], strides: [1, 2], pad: 4},
  {filterSize: 4, strides: 1, pad: 6},
  ...['floor', 'ceil', 'round'].flatMap((dimRoundingMode) => [
    {filterSize: 3, strides: 2, pad: 1, dimRoundingMode},
    {filterSize: 3, strides: 4, pad: 0, dimRoundingMode},
    {
      filterSize: [3, 2],
      strides: [2, 3],
      pad: [
        [0, 0],
        [1, 0],
        [0, 2],
        [0, 0],
      ],
      dimRoundingMode,
    },
  ]),
  {
    filterSize: 5,
    strides: 1,
    pad: [
      [0, 0],
      [0, 3],
      [4, 1],
      [0, 0],
    ],
  },
  {
    filterSize: 2,
    strides: 1,
    pad: [
      [0, 0],
      [-1, 0],
      [2, -1],
      [0, 0],
    ],
  },
];

const SHAPES = [
  [1, 9, 11, 1],
  [2, 8, 7, 3],
  [1, 19, 21, 2],
  [1, 5, 6, 4],
  [1, 7, 7, 23],
  [2, 6, 9, 16],
];

const WIDE: readonly [readonly number[], Attributes][] = [
  // Blocks of channels, of which the last one is narrower.
  [[1, 20, 20, 70], {filterSize: 5, strides: 1, pad: 'same'}],
  [[2, 9, 33, 129], {filterSize: 3, strides: 1, pad: 'valid'}],
  [[1, 13, 13, 64], {filterSize: 13, strides: 1, pad: 'same'}],
  // Of the whole image.
  [[2, 7, 7, 40], {filterSize: 7, strides: 1, pad: 'valid'}],
  [[2, 7, 5, 3], {filterSize: [7, 5], strides: 3, pad: 'valid'}],
  [[1, 4, 4, 5], {filterSize: 9, strides: 4, pad: 'same'}],
];

const casesOf = (kernelName: string, options: Pick<AroundCase, 'plain'>): AroundCase[] => [
  ...SHAPES.flatMap((shape) => ATTRIBUTES.map((attrs) => call(kernelName, shape, attrs, options))),
  ...WIDE.map(([shape, attrs]) => call(kernelName, shape, attrs, options)),
];

const reasons = [
  'an argument is not as it should be',
  'there is nothing to compute',
  'tfjs averages a whole image as fast',
];

describe('bit for bit', () => {
  sweepCases({cases: {MaxPool: casesOf('MaxPool', {})}, reasons, compare: expectOutcome});
});

describe('rounded', () => {
  sweepCases({
    cases: {AvgPool: casesOf('AvgPool', {plain: true})},
    reasons,
    compare(one, got, expected) {
      const [height, width] = [(one.attrs as {filterSize: number | number[]}).filterSize].flat();
      // A sum of so many values, of at most 1, and a division.
      const terms = Math.min(height, 20) * Math.min(width ?? height, 20);
      expectNear(one, got, expected, () => (terms + 2) * 2 ** -24);
    },
  });
});
