// Calls of the kernels that compute values one by one.
import {type AroundCase, operand} from './aroundCases.ts';

/** How many values a row has, around the lengths at which it is computed in another way. */
const CHANNELS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 31, 64, 100, 255, 256, 257];

type Pair = readonly [readonly number[], readonly number[]];

/** Of one shape, and with a single value. */
const FLAT: readonly Pair[] = [
  [],
  [1],
  [3],
  [7],
  [15],
  [16],
  [17],
  [19],
  [35],
  [5, 9],
  [2, 3, 1, 17],
].flatMap((shape): Pair[] => [
  [shape, shape],
  [shape, []],
  [[1, 1], shape],
]);

/** More than a segment of 4096. */
const LONG: readonly Pair[] = [
  [[8192], [8192]],
  [[12_293], [12_293]],
  [
    [3, 8203],
    [3, 1],
  ],
  [[8203], [3, 1]],
  [
    [2, 1, 8200],
    [3, 8200],
  ],
];

const channels = (channel: number): Pair[] => [
  [[2, 3, 5, channel], [channel]],
  [
    [2, 3, 5, 1],
    [2, 3, 5, channel],
  ],
  [
    [2, 1, 1, channel],
    [2, 3, 5, channel],
  ],
  [
    [2, 1, 5, channel],
    [3, 1, channel],
  ],
];

/** Rows that fill more than a pattern. */
const MANY: readonly Pair[] = [1, 2, 3, 5, 6, 13].flatMap((channel): Pair[] => [
  [[1, 30, 23, channel], [channel]],
  [[channel], [1, 30, 23, channel]],
  [
    [2, 30, 13, channel],
    [2, 1, 1, channel],
  ],
  [
    [30, 23, channel],
    [30, 23, 1],
  ],
]);

const GENERAL: readonly Pair[] = [
  [[1], [1, 1, 1]],
  [
    [3, 1, 5, 1],
    [4, 1, 2],
  ],
  [
    [3, 1, 5],
    [4, 1],
  ],
  [
    [20, 1],
    [1, 30],
  ],
  [
    [4, 1, 3],
    [4, 5, 3],
  ],
  [
    [2, 1, 3, 1, 2, 1],
    [1, 2, 1, 3, 1, 2],
  ],
  [
    [2, 1, 2, 1, 2, 20],
    [1, 2, 1, 2, 1, 20],
  ],
  [
    [2, 3, 1, 2, 1, 17],
    [3, 1, 1, 4, 1],
  ],
  [
    [2, 1, 2, 1, 2, 260],
    [1, 3, 1, 2, 1, 1],
  ],
  [
    [2, 3, 1, 2, 1, 2],
    [2, 3, 4, 2, 5, 2],
  ],
];

const EMPTY: readonly Pair[] = [
  [
    [2, 1, 1],
    [1, 0, 3],
  ],
  [[0], []],
];

const FEW: readonly Pair[] = [...FLAT, ...[1, 3, 5, 16].flatMap(channels), ...GENERAL];
const ALL: readonly Pair[] = [...FEW, ...LONG, ...MANY, ...CHANNELS.flatMap(channels)];

const call = (kernelName: string, [first, second]: Pair, seed?: number): AroundCase => {
  const [a, b] = [operand(first), operand(second, 'float32', {seed})];
  return {kernelName, inputs: kernelName === 'Prelu' ? {x: a, alpha: b} : {a, b}};
};

/** Both ways round, and with values of which some are the same in both. */
const calls = (kernelName: string, pairs: readonly Pair[]): AroundCase[] =>
  pairs.flatMap((pair) => [
    call(kernelName, pair),
    call(kernelName, [pair[1], pair[0]]),
    call(kernelName, pair, 0),
  ]);

const NAMES = ['Add', 'Multiply', 'RealDiv', 'Maximum', 'Minimum', 'SquaredDifference', 'Prelu'];
const COMPARISONS = ['Equal', 'NotEqual', 'LessEqual', 'Greater', 'GreaterEqual'];

const SHAPES = [[], [1], [7], [16], [19], [63], [5, 9], [2, 3, 1, 17], [2, 1, 3, 2, 5], [4, 33, 9], [9000]];

/** A batch normalization of values of a shape, with parameters of others: mean, variance, offset, scale. */
function batchNorm(
  shape: readonly number[],
  shapes: readonly (readonly number[] | undefined)[],
  varianceEpsilon?: number,
): AroundCase {
  const [mean, variance, offset, scale] = shapes.map(
    (own, i) => own && operand(own, 'float32', {seed: i + 1}),
  );
  const inputs = {
    x: operand(shape),
    mean: mean as NonNullable<typeof mean>,
    variance: {...(variance as NonNullable<typeof variance>), nonNegative: true} as const,
    ...(offset && {offset}),
    ...(scale && {scale}),
  };
  return {kernelName: 'FusedBatchNorm', inputs, attrs: {varianceEpsilon}};
}

const BATCH_NORMS: readonly AroundCase[] = [
  ...CHANNELS.flatMap((own) => [
    batchNorm([2, 3, 5, own], [[own], [own], [own], [own]], 0.001),
    batchNorm([1, 1, 1, own], [[own], [own], undefined, [own]]),
  ]),
  ...[1, 3, 6, 300].map((own) => batchNorm([1, 30, 23, own], [[own], [own], [own], undefined], 1e-5)),
  batchNorm([3, 2049], [[2049], [2049], [2049], [2049]], 0),
  batchNorm([7, 2100], [[2100], [1], [2100], [2100]], 0.01),
  batchNorm([2, 3, 4], [[], [], [], []], 0.1),
  batchNorm(
    [2, 3, 4],
    [
      [1, 1, 1],
      [2, 3, 4],
      [1, 1, 4],
      [1, 1, 1],
    ],
    0.1,
  ),
  batchNorm(
    [2, 3, 40, 20],
    [
      [2, 3, 40, 20],
      [2, 3, 40, 20],
      [2, 3, 40, 20],
      [2, 3, 40, 20],
    ],
    0.1,
  ),
  // tfjs takes what does not fit, too: value by value, over and over.
  batchNorm([5, 6], [[4], [3], [7], [100]], 0.1),
  batchNorm([70, 60], [[5], [9], undefined, undefined], 0.1),
  batchNorm([0, 3], [[3], [3], [3], [3]], 0.1),
];

export const BINARY_CASES: Record<string, readonly AroundCase[]> = {
  // tfjs's own Prelu of nothing fails.
  Sub: calls('Sub', [...ALL, ...EMPTY]),
  Less: calls('Less', [...ALL, ...EMPTY]),
  ...Object.fromEntries([...NAMES, ...COMPARISONS].map((name) => [name, calls(name, FEW)])),
  AddN: SHAPES.flatMap((shape) =>
    [1, 2, 3, 7].map((count) => ({
      kernelName: 'AddN',
      inputs: Array.from({length: count}, () => operand(shape)),
    })),
  ),
  Select: (['float32', 'int32', 'bool'] as const).flatMap((dtype) =>
    SHAPES.map((shape) => ({
      kernelName: 'Select',
      inputs: {
        condition: operand(shape, 'bool'),
        t: operand(shape, dtype),
        e: operand(shape, dtype, {seed: 3}),
      },
    })),
  ),
  FusedBatchNorm: BATCH_NORMS,
};
